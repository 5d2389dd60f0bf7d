//! What the operating system says of the server's process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::rig::spawn;

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(200);

/// Watches what a process takes.
#[derive(Debug)]
pub(crate) struct Watch {
    pid: u32,
    /// How much of it was resident, in KiB.
    resident: Arc<Mutex<Vec<u64>>>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(crate) fn start(pid: u32) -> Self {
        let resident = Arc::<Mutex<Vec<u64>>>::default();
        let seen = resident.clone();
        let task = spawn(async move {
            while let Some(kib) = resident_kib(pid) {
                seen.lock().unwrap().push(kib);
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { pid, resident, task }
    }

    /// How many files and sockets it has open.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }

    /// Ends; answers the medians of the second and the last quarter of its time, in KiB.
    pub(crate) fn medians(self) -> (u64, u64) {
        self.task.abort();
        let seen = self.resident.lock().unwrap();
        let quarter = seen.len() / 4;
        let median = |part: &[u64]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part.get(part.len() / 2).copied().unwrap_or_default()
        };
        (median(&seen[quarter..quarter * 2]), median(&seen[quarter * 3..]))
    }
}

/// How much of a process is resident, in KiB; none once it is gone.
fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
