//! A folder that is watched: what is done to its files is recorded in order, among what the library was asked
//! and what it answered; and one call can be made to fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use crate::said::Said;

/// The folders that are watched.
static WATCHED: Mutex<Vec<Arc<Disk>>> = Mutex::new(Vec::new());

/// One file, whatever its name becomes.
pub(crate) type Node = usize;

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A file was made under this name.
    Create { node: Node, name: String },
    /// Bytes were written.
    Write { node: Node, at: u64, bytes: Box<[u8]> },
    /// It was cut off or made longer.
    Truncate { node: Node, size: u64 },
    /// It was synced, and so was its name.
    Sync { node: Node },
    /// A sync failed: what was written since the last one is on the disk or is lost for good.
    SyncFailed { node: Node },
    /// The name is gone; for good if the folder was synced.
    Delete { name: String, synced: bool },
    /// It has another name, and its folder was synced.
    Rename { from: String, to: String },
    /// The store was asked for an operation.
    Asked { operation: usize },
    /// It answered.
    Answered { operation: usize },
    /// Somebody was told something by the supervisor, or is about to ask it for something.
    Said(Said),
}

/// A call that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// A file is opened or made.
    Open,
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// A file is cut off.
    Truncate,
    /// It is synced.
    Sync,
    /// Its size is asked for.
    Size,
    /// It is removed.
    Delete,
    /// It is locked.
    Lock,
    /// The index of the log is mapped into memory.
    ShmMap,
    /// A part of that index is locked.
    ShmLock,
}

/// How a call is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk could not do it.
    Error,
    /// There is no room.
    Full,
    /// Half of it is written, then there is no room.
    Short,
    /// It does not return until it is let go.
    Hang,
}

/// What a call that fails answers with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    /// SQLite's code.
    pub(crate) code: i32,
    /// Whether half of what was to be written is.
    pub(crate) half: bool,
}

/// Which calls fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Of which kind, if the others do not count.
    pub(crate) of: Option<Call>,
    /// The first one, counted from 0.
    pub(crate) first: usize,
    /// How many.
    pub(crate) count: usize,
    /// How.
    pub(crate) fault: Fault,
}

/// A watched folder.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Which.
    folder: PathBuf,
    /// What was recorded.
    state: Mutex<State>,
    /// Tells of a hang that is over, and of one that has begun.
    hang: Condvar,
}

/// What is behind the lock.
#[derive(Debug, Default)]
struct State {
    /// What happened, in order.
    events: Vec<Event>,
    /// Which file has which name.
    names: BTreeMap<String, Node>,
    /// How many files there were.
    nodes: usize,
    /// The calls since they are counted; `None` if they are not.
    calls: Option<Vec<Call>>,
    /// Which of them fail.
    plan: Option<Plan>,
    /// How many have.
    failed: usize,
    /// When the first of them did, as a number of events.
    failed_at: Option<usize>,
    /// How many calls hang.
    hanging: usize,
}

impl Call {
    /// The ways in which it can fail.
    pub(crate) fn faults(self) -> &'static [Fault] {
        match self {
            Self::Write => &[Fault::Error, Fault::Full, Fault::Short],
            Self::Open
            | Self::Read
            | Self::Truncate
            | Self::Sync
            | Self::Size
            | Self::Delete
            | Self::Lock
            | Self::ShmMap
            | Self::ShmLock => &[Fault::Error],
        }
    }

    /// What it answers when it fails.
    fn code(self, fault: Fault) -> i32 {
        match (self, fault) {
            (Self::Write, Fault::Full | Fault::Short) => ffi::SQLITE_FULL,
            (Self::Open, _) => ffi::SQLITE_CANTOPEN,
            (Self::Read, _) => ffi::SQLITE_IOERR_READ,
            (Self::Write, _) => ffi::SQLITE_IOERR_WRITE,
            (Self::Truncate, _) => ffi::SQLITE_IOERR_TRUNCATE,
            (Self::Sync, _) => ffi::SQLITE_IOERR_FSYNC,
            (Self::Size, _) => ffi::SQLITE_IOERR_FSTAT,
            (Self::Delete, _) => ffi::SQLITE_IOERR_DELETE,
            (Self::Lock, _) => ffi::SQLITE_IOERR_LOCK,
            (Self::ShmMap, _) => ffi::SQLITE_IOERR_SHMMAP,
            (Self::ShmLock, _) => ffi::SQLITE_IOERR_SHMLOCK,
        }
    }
}

impl Disk {
    /// Watches a folder from now on.
    pub(crate) fn watch(folder: &Path) -> Arc<Self> {
        crate::vfs::install();
        let mut state = State::default();
        // What is there is there for good.
        for (node, name) in files(folder).into_iter().enumerate() {
            state.names.insert(name, node);
            state.nodes = node + 1;
        }
        let (folder, hang) = (folder.to_owned(), Condvar::new());
        let disk = Arc::new(Self { folder, state: Mutex::new(state), hang });
        watched().push(Arc::clone(&disk));
        disk
    }

    /// Who watches the file at `path`.
    pub(crate) fn of(path: &Path) -> Option<Arc<Self>> {
        let folder = path.parent()?;
        watched().iter().find(|disk| disk.folder == folder).cloned()
    }

    /// Ends the watch.
    pub(crate) fn forget(self: &Arc<Self>) {
        watched().retain(|disk| !Arc::ptr_eq(disk, self));
    }

    /// Counts the calls from now on; those of the plan fail.
    pub(crate) fn arm(&self, plan: Option<Plan>) {
        let mut state = self.lock();
        (state.calls, state.plan) = (Some(Vec::new()), plan);
    }

    /// Lets calls go that hang, fails none any more, and answers with those that were counted.
    pub(crate) fn disarm(&self) -> Vec<Call> {
        let mut state = self.lock();
        state.plan = None;
        self.hang.notify_all();
        state.calls.take().unwrap_or_default()
    }

    /// How many calls were made to fail.
    pub(crate) fn failed(&self) -> usize {
        self.lock().failed
    }

    /// How many things had happened when the first of them did.
    pub(crate) fn failed_at(&self) -> Option<usize> {
        self.lock().failed_at
    }

    /// Waits until a call hangs.
    pub(crate) fn wait_for_a_hang(&self) {
        let state = self.lock();
        drop(self.hang.wait_while(state, |state| state.hanging == 0));
    }

    /// A call is about to be made.
    pub(crate) fn call(&self, call: Call) -> Option<Failure> {
        let mut state = self.lock();
        let calls = state.calls.as_mut()?;
        calls.push(call);
        let plan = state.plan?;
        if plan.of.is_some_and(|of| of != call) {
            return None;
        }
        let calls = state.calls.as_ref()?.iter();
        let number = calls.filter(|it| plan.of.is_none_or(|of| of == **it)).count() - 1;
        if !(plan.first..plan.first.saturating_add(plan.count)).contains(&number) {
            return None;
        }
        state.failed += 1;
        let now = state.events.len();
        state.failed_at.get_or_insert(now);
        if plan.fault == Fault::Hang {
            state.hanging += 1;
            self.hang.notify_all();
            let state = self.hang.wait_while(state, |state| state.plan.is_some());
            state.unwrap_or_else(PoisonError::into_inner).hanging -= 1;
            return None;
        }
        Some(Failure { code: call.code(plan.fault), half: plan.fault == Fault::Short })
    }

    /// Records what has happened.
    pub(crate) fn note(&self, event: Event) {
        self.lock().events.push(event);
    }

    /// A file was opened, and made if there was none.
    pub(crate) fn opened(&self, path: &Path, existed: bool) -> Node {
        let (mut state, name) = (self.lock(), name_of(path));
        if let Some(node) = state.names.get(&name).copied().filter(|_| existed) {
            return node;
        }
        if existed {
            // The store makes a file beside, renames it and syncs the folder before it opens it again.
            let here = |from: &&String| !self.folder.join(from).exists();
            let from = state.names.keys().find(here).expect("no file comes from elsewhere").clone();
            let node = state.names.remove(&from).expect("it was there");
            state.names.insert(name.clone(), node);
            state.events.push(Event::Rename { from, to: name });
            return node;
        }
        let node = state.nodes;
        state.nodes += 1;
        state.names.insert(name.clone(), node);
        state.events.push(Event::Create { node, name });
        node
    }

    /// A file was removed.
    pub(crate) fn deleted(&self, path: &Path, synced: bool) {
        let (mut state, name) = (self.lock(), name_of(path));
        state.names.remove(&name);
        state.events.push(Event::Delete { name, synced });
    }

    /// Everything that was recorded so far.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.lock().events)
    }

    /// What is behind the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watched folders.
fn watched() -> MutexGuard<'static, Vec<Arc<Disk>>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The names of the files in a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let found = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<_> = found.map(|it| name_of(&it.expect("it can be read").path())).collect();
    // A lock is of no account, and an index of a log is made anew.
    names.retain(|name| !name.ends_with("-shm") && !name.ends_with(".lock"));
    names.sort();
    names
}

/// The last part of a path.
fn name_of(path: &Path) -> String {
    path.file_name().expect("it names a file").to_string_lossy().into_owned()
}
