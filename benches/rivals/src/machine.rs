//! What the numbers were measured on.

use std::process::Command;

use serde::{Deserialize, Serialize};

/// Facts of the machine and of the build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) kernel: String,
    pub(crate) memory_bytes: u64,
    pub(crate) rustc: String,
    pub(crate) python: String,
    pub(crate) allocator: String,
    /// Seconds since the Unix epoch.
    pub(crate) measured_at: u64,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
        let system = rustix::system::uname();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu,
            kernel: format!(
                "{} {}",
                system.sysname().to_string_lossy(),
                system.release().to_string_lossy()
            ),
            memory_bytes: kilobytes("MemTotal") * 1_024,
            rustc: version("rustc"),
            python: version("python3"),
            allocator: "jemalloc, with its defaults, for every Rust side".to_owned(),
            measured_at: since.map_or(0, |since| since.as_secs()),
        }
    }
}

/// How much memory could be allocated now, in bytes.
pub(crate) fn available_bytes() -> u64 {
    kilobytes("MemAvailable") * 1_024
}

fn kilobytes(name: &str) -> u64 {
    let value = field("/proc/meminfo", name).unwrap_or_default();
    value.trim_end_matches("kB").trim().parse().unwrap_or(0)
}

/// The value after `name:` in a file of such lines.
fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a program answers to `--version`.
fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| format!("no {program}"))
}
