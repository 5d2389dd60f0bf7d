//! Whether the file still lies where it was opened.
//!
//! A file that is moved away, removed or replaced goes on working for whoever has it open, and nobody would
//! find again what is written to it from then on. So the place is looked at before each batch of writes: next to
//! a sync the look costs nothing. What is read is what was acknowledged before, and goes on.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::rt::Arc;
use crate::store::StoreError;

/// The place of a file, and which file was there.
#[derive(Debug)]
pub(super) struct Presence {
    /// The place.
    path: PathBuf,
    /// The file.
    identity: Option<Identity>,
}

/// What tells a file from every other one: its device and its number there.
type Identity = (u64, u64);

impl Presence {
    /// That of the file that is at `path` now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(&fs::metadata(path)?) })
    }

    /// Fails if the file is not there any more, or another one is.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let gone = |source: Option<io::Error>| StoreError::Unavailable {
            what: format!(
                "{} was moved, removed or replaced while it was in use; put it back, or open it anew",
                self.path.display()
            ),
            source: source.map(|error| Arc::new(error) as _),
        };
        match fs::metadata(&self.path) {
            Ok(found) if identity(&found) == self.identity => Ok(()),
            Ok(_) => Err(gone(None)),
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory]
                    .contains(&error.kind()) =>
            {
                Err(gone(Some(error)))
            }
            // That it cannot be looked at says nothing of the file, which is open.
            Err(_) => Ok(()),
        }
    }
}

/// Which file it is.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn identity(file: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

/// Elsewhere a file that is open cannot be taken away.
#[cfg(not(unix))]
const fn identity(_: &Metadata) -> Option<Identity> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_place_that_cannot_be_looked_at_says_nothing_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        fs::write(real.join("s.db"), "x").unwrap();
        symlink(&real, &link).unwrap();
        let presence = Presence::of(&link.join("s.db")).unwrap();
        presence.check().unwrap();
        // The way there goes round in circles.
        fs::remove_file(&link).unwrap();
        symlink(&link, &link).unwrap();
        presence.check().unwrap();
        // And here it ends.
        fs::remove_file(&link).unwrap();
        assert!(matches!(presence.check(), Err(StoreError::Unavailable { .. })));
        fs::write(&link, "not a folder").unwrap();
        assert!(matches!(presence.check(), Err(StoreError::Unavailable { .. })));
    }
}
