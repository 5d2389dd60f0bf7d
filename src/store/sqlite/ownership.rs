//! Who may use the file: an advisory lock on a file beside it, held for life.
//!
//! The kernel frees the lock when its holder dies, so a killed process blocks nobody. The file is
//! never removed, because a second process could hold the old one while a third locks the new one.
//! What is written in it names the holder for people; the lock alone decides.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::id::InstanceId;
use crate::rt;
use crate::store::StoreError;

/// How much of the lock file is read to name its holder, in bytes.
const MAX_HOLDER_BYTES: u64 = 256;

/// The lock; freed when it is dropped.
#[derive(Debug)]
pub(super) struct Ownership {
    /// The locked file.
    file: File,
    /// Since when it is.
    since: Timestamp,
}

impl Ownership {
    /// Takes the lock for the store at `path`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Owned`] if somebody has it, in this process or another, and
    /// [`StoreError::Unusable`] if the lock file cannot be opened or locked.
    pub(super) fn acquire(path: &Path) -> Result<Self, StoreError> {
        let lock_path = beside(path, ".lock");
        let unusable = |error| StoreError::Unusable {
            path: path.display().to_string(),
            problem: format!(
                "its lock file {} cannot be taken; check that its directory may be written to",
                lock_path.display()
            ),
            source: Some(rt::Arc::new(error)),
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&lock_path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read_holder(&mut file);
                return Err(StoreError::Owned { path: path.display().to_string(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let owner = Self { file, since: SystemClock::new().now().wall };
        owner.write(None).map_err(unusable)?;
        Ok(owner)
    }

    /// Writes which run of the process holds the lock, now that it is known.
    pub(super) fn sign(&self, instance: InstanceId) {
        if let Err(error) = self.write(Some(instance)) {
            tracing::warn!(%error, "the lock file does not name its holder");
        }
    }

    /// Writes who holds the lock.
    fn write(&self, instance: Option<InstanceId>) -> std::io::Result<()> {
        let instance = instance.map_or_else(String::new, |it| format!(", instance {it}"));
        let holder = format!("process {}{instance}, since {}\n", std::process::id(), self.since);
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(holder.as_bytes())
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        // Closing frees it as well, unless a child between fork and exec has a copy of it.
        drop(self.file.unlock());
    }
}

/// The path of a file beside the store's.
pub(super) fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut beside = OsString::from(path);
    beside.push(suffix);
    beside.into()
}

/// The holder as it has written itself down.
fn read_holder(file: &mut File) -> String {
    let mut holder = String::new();
    let read = file.take(MAX_HOLDER_BYTES).read_to_string(&mut holder);
    match (read, holder.trim()) {
        (Ok(_), holder) if !holder.is_empty() => holder.to_owned(),
        (Ok(_) | Err(_), _) => "a process that has not written its id yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_that_has_not_written_itself_down_is_told_as_that() {
        let mut file = tempfile::tempfile().unwrap();
        assert_eq!(read_holder(&mut file), "a process that has not written its id yet");
        file.write_all(b" process 7\n").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        assert_eq!(read_holder(&mut file), "process 7");
    }
}
