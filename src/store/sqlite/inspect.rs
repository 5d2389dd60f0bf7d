//! Whether what lies at a path is a store, found out without changing a byte of it.
//!
//! A file that is refused stays as it is, and nothing appears beside it: its header is read as
//! bytes, and its schema on a connection that cannot write. Without a log beside the file that
//! connection is told that the file is immutable, because it would make a log otherwise.
//!
//! A header that is garbage says nothing if a log lies beside the file: the power was cut while the first
//! page was taken over from the log, which still has it. What SQLite reads through the log decides then.

use std::error::Error;
use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::ownership::beside;
use super::row::Table;
use super::schema::{APPLICATION_ID, VERSION};
use crate::rt::Arc;
use crate::store::StoreError;

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What is told of a file that somebody else has made.
const FOREIGN: &str = "it is a SQLite file of another program; give another path";

/// How long the header is.
const HEADER_BYTES: usize = 100;

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing, or an empty file.
    Nothing,
    /// A file that says that it is a store.
    Store,
}

/// The error for `path`, which cannot be used because of `problem`.
pub(super) fn unusable(
    path: &Path,
    problem: impl Into<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
) -> StoreError {
    let path = path.display().to_string();
    StoreError::Unusable { path, problem: problem.into(), source: source.map(Arc::from) }
}

/// The one path of the file, so that two names of it do not become two owners.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                Some(_) | None => Path::new("."),
            };
            let name = path.file_name().ok_or_else(|| {
                unusable(path, "it does not name a file; give the path of one", None)
            })?;
            let resolved = fs::canonicalize(directory).map_err(|error| {
                let directory = directory.display();
                let problem = format!("its directory {directory} cannot be reached; create it");
                unusable(path, problem, Some(error.into()))
            })?;
            Ok(resolved.join(name))
        }
        Err(error) => {
            let problem = "it cannot be reached; check its directory and the permissions";
            Err(unusable(path, problem, Some(error.into())))
        }
    }
}

/// Reads what the file says of itself.
pub(super) fn look(path: &Path) -> Result<Finding, StoreError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unusable(path, "it cannot be reached", Some(error.into()))),
    };
    if metadata.as_ref().is_some_and(|found| !found.is_file()) {
        let problem = "it is a directory or a device; give the path of a file";
        return Err(unusable(path, problem, None));
    }
    let length = metadata.map_or(0, |metadata| metadata.len());
    if length == 0 {
        if has_log(path) {
            let problem = "it is missing or empty, and a log of it (`-wal`) is there; \
                           put the file back, or remove the log";
            return Err(unusable(path, problem, None));
        }
        return Ok(Finding::Nothing);
    }
    let header = read_header(path).map_err(|error| {
        let problem = "its header cannot be read; check the permissions and that it is whole";
        unusable(path, problem, Some(error.into()))
    })?;
    match header_problem(&header, length, has_log(path)) {
        None => Ok(Finding::Store),
        Some(_) if !header.starts_with(MAGIC) && has_log(path) && examine(path).is_ok() => {
            Ok(Finding::Store)
        }
        Some(problem) => Err(unusable(path, problem, None)),
    }
}

/// Looks at the schema of a file that [`look`] found to be a store; answers with its version.
pub(super) fn examine(path: &Path) -> Result<u32, StoreError> {
    let log = has_log(path);
    let index = beside(path, "-shm");
    let had_index = index.exists();
    let examined = examine_schema(path, !log);
    if examined.is_err() && log && !had_index {
        // Reading a log leaves an index of it. What it cannot be removed for is told already.
        drop(fs::remove_file(index));
    }
    examined
}

/// Reads the version and one row of each table.
fn examine_schema(path: &Path, immutable: bool) -> Result<u32, StoreError> {
    let damaged = |error: rusqlite::Error| {
        let problem = "its content is damaged; restore it from a backup";
        unusable(path, problem, Some(error.into()))
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if immutable {
        Connection::open_with_flags(immutable_uri(path), flags | OpenFlags::SQLITE_OPEN_URI)
    } else {
        Connection::open_with_flags(path, flags)
    };
    let connection = connection.map_err(damaged)?;
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, u32>(0));
    if number("PRAGMA application_id").map_err(damaged)? != APPLICATION_ID {
        return Err(unusable(path, FOREIGN, None));
    }
    let version = number("PRAGMA user_version").map_err(damaged)?;
    if let Some(problem) = version_problem(version) {
        return Err(unusable(path, problem, None));
    }
    for table in Table::ALL {
        let one = format!("SELECT {} FROM {} LIMIT 1", table.columns(), table.name());
        connection.prepare(&one).and_then(|mut one| one.exists([])).map_err(damaged)?;
    }
    Ok(version)
}

/// What is wrong with a header, if anything.
fn header_problem(header: &[u8; HEADER_BYTES], length: u64, log: bool) -> Option<String> {
    if !header.starts_with(MAGIC) {
        return Some("it is not a SQLite file; give another path".to_owned());
    }
    if number(header, 68) != APPLICATION_ID {
        return Some(FOREIGN.to_owned());
    }
    if let Some(problem) = version_problem(number(header, 60)) {
        return Some(problem);
    }
    // The size of a page is in two bytes, where 1 stands for 65,536.
    let page = u64::from(number(header, 16) >> 16);
    let page = if page == 1 { 65_536 } else { page };
    let pages = u64::from(number(header, 28));
    // With a log, pages beyond the end may still be in it.
    (!log && length < page * pages).then(|| {
        format!(
            "it is cut off: {length} bytes are there of {}; restore it from a backup",
            page * pages
        )
    })
}

/// What is wrong with a version of the format, if anything.
fn version_problem(version: u32) -> Option<String> {
    if version > VERSION {
        Some(format!(
            "its format is version {version} and this library knows {VERSION}; \
             use a newer release"
        ))
    } else if version == 0 {
        Some("its format has no version, so it is not complete; restore it from a backup".into())
    } else {
        None
    }
}

/// The first bytes of the file.
fn read_header(path: &Path) -> io::Result<[u8; HEADER_BYTES]> {
    let mut header = [0; HEADER_BYTES];
    let mut read = 0;
    let mut file = File::open(path)?;
    // A shorter file is judged by what it has: zeros make it a foreign one or one that is cut off.
    while let Some(rest) = header.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(header)
}

/// The big-endian number at `offset` of a header.
fn number(header: &[u8; HEADER_BYTES], offset: usize) -> u32 {
    let bytes = header.get(offset..).and_then(|rest| rest.first_chunk::<4>());
    u32::from_be_bytes(*bytes.expect("the offsets are inside the header"))
}

/// Whether a log with anything in it lies beside the file.
fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// A URI that opens the file as one that nobody changes.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a string takes everything");
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a store of `pages` pages.
    fn header(page: u16, pages: u32) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..16].copy_from_slice(MAGIC);
        header[16..18].copy_from_slice(&page.to_be_bytes());
        header[28..32].copy_from_slice(&pages.to_be_bytes());
        header[60..64].copy_from_slice(&VERSION.to_be_bytes());
        header[68..72].copy_from_slice(&APPLICATION_ID.to_be_bytes());
        header
    }

    #[test]
    fn a_file_is_cut_off_if_it_is_shorter_than_its_header_says_and_no_log_has_the_rest() {
        let header = header(4_096, 3);
        assert_eq!(header_problem(&header, 12_288, false), None, "to the byte");
        assert_eq!(header_problem(&header, 16_384, false), None);
        assert_eq!(header_problem(&header, 12_287, true), None);
        let problem = header_problem(&header, 12_287, false).unwrap();
        assert!(problem.starts_with("it is cut off: 12287 bytes are there of 12288;"), "{problem}");
    }

    #[test]
    fn a_page_of_one_byte_has_as_many_as_two_bytes_cannot_say() {
        let header = header(1, 2);
        assert_eq!(header_problem(&header, 131_072, false), None);
        assert!(header_problem(&header, 131_071, false).is_some());
    }

    #[test]
    fn only_a_version_that_is_known_is_good() {
        assert_eq!(version_problem(VERSION), None);
        assert!(version_problem(0).unwrap().contains("no version"));
        assert!(version_problem(VERSION + 1).unwrap().contains("newer"));
    }

    #[test]
    fn what_has_a_meaning_in_an_address_is_written_as_its_number() {
        let uri = immutable_uri(Path::new("/a-b_c.d/e f?%g.db"));
        assert_eq!(uri, "file:/a-b_c.d/e%20f%3F%25g.db?immutable=1");
    }

    #[test]
    fn a_path_is_one_whatever_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let whole = fs::canonicalize(folder.path()).unwrap();
        let roundabout = folder.path().join(".").join("new.db");
        assert_eq!(resolve(&roundabout).unwrap(), whole.join("new.db"));
        assert_eq!(
            resolve(Path::new("new.db")).unwrap(),
            fs::canonicalize(".").unwrap().join("new.db")
        );
        assert!(resolve(&folder.path().join("missing").join("new.db")).is_err());
        // What cannot be reached is told, and not taken for what is not there.
        fs::write(folder.path().join("file"), "x").unwrap();
        let problem = resolve(&folder.path().join("file").join("new.db")).unwrap_err().to_string();
        assert!(problem.contains("it cannot be reached"), "{problem}");
        assert!(look(&folder.path().join("file").join("new.db")).is_err());
    }

    #[test]
    fn a_log_with_nothing_in_it_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        assert!(!has_log(&path));
        fs::write(beside(&path, "-wal"), "").unwrap();
        assert!(!has_log(&path));
        assert_eq!(look(&path).unwrap(), Finding::Nothing);
        fs::write(beside(&path, "-wal"), "x").unwrap();
        assert!(has_log(&path) && look(&path).is_err());
    }

    /// A store whose first page is in its log as well; the folder, and the copy that nobody has open.
    fn with_a_log() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (open, copy) = (folder.path().join("open.db"), folder.path().join("s.db"));
        crate::store::sqlite::schema::create(&open).unwrap();
        let connection = Connection::open(&open).unwrap();
        connection.execute_batch("CREATE TABLE more (it INTEGER)").unwrap();
        fs::copy(&open, &copy).unwrap();
        fs::copy(beside(&open, "-wal"), beside(&copy, "-wal")).unwrap();
        assert!(has_log(&copy));
        (folder, copy)
    }

    /// Overwrites what lies at `offset` of the file.
    fn overwrite(path: &Path, offset: usize, with: &[u8]) {
        let mut bytes = fs::read(path).unwrap();
        bytes[offset..offset + with.len()].copy_from_slice(with);
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_header_that_is_garbage_is_judged_by_its_log_and_one_of_another_program_is_not() {
        let (_folder, path) = with_a_log();
        overwrite(&path, 0, &[0; 16]);
        assert_eq!(look(&path).unwrap(), Finding::Store);
        let (_folder, path) = with_a_log();
        overwrite(&path, 68, &[0; 4]);
        assert!(look(&path).unwrap_err().to_string().contains(FOREIGN));
    }

    #[test]
    fn of_a_file_that_is_refused_nothing_is_left_that_was_not_there() {
        let index = |path: &Path| beside(path, "-shm").exists();
        let break_log = |path: &Path| {
            overwrite(path, 0, &[0; HEADER_BYTES]);
            overwrite(&beside(path, "-wal"), 32, &[0; 64]);
        };
        let (_folder, path) = with_a_log();
        assert!(examine(&path).is_ok() && index(&path), "it is a store, and is used");
        break_log(&path);
        assert!(examine(&path).is_err() && index(&path), "somebody else has made it");
        let (_folder, path) = with_a_log();
        break_log(&path);
        assert!(examine(&path).is_err() && !index(&path));
    }
}
