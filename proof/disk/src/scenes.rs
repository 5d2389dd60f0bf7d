//! Disks that are full, that hang, that may only be read, and files that vanish, while a supervisor works.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags};
use session_supervisor::{
    BeginError, ChatMessage, Session, SqliteOptions, SqliteStore, StoreError, Supervisor,
};

use crate::disk::{Call, Disk, Fault, Plan};
use crate::faults::store_error;
use crate::report::Report;
use crate::room::{self, Room};
use crate::work::{fresh, key};

/// The size of the small disk.
const SMALL: &std::ffi::CStr = c"size=512k";

/// How many begins wait for a disk that hangs.
const WAITING: usize = 20;

/// Runs the proof.
pub(crate) fn prove(report: &Report, _: u64) {
    let small = Mounted::new("small");
    room::runtime().block_on(async {
        match &small {
            Some(small) => {
                full(report, small.room.path()).await;
                small.read_only(report).await;
            }
            None => println!("full_disk skipped (only root can mount a small one)"),
        }
        hang(report).await;
        vanish(report, Vanish::File).await;
        vanish(report, Vanish::Folder).await;
    });
    drop(small);
}

/// A small disk.
struct Mounted {
    /// Where it is.
    room: Room,
}

impl Mounted {
    /// Mounts one; `None` if that is not allowed.
    fn new(name: &str) -> Option<Self> {
        let room = Room::new(name);
        rustix::mount::mount("tmpfs", room.path(), "tmpfs", MountFlags::empty(), SMALL).ok()?;
        Some(Self { room })
    }

    /// A disk that may only be read is told at the open.
    async fn read_only(&self, report: &Report) {
        let read_only = MountFlags::RDONLY;
        if let Err(error) = rustix::mount::mount_remount(self.room.path(), read_only, SMALL) {
            return report.problem(format!("read_only: it cannot be made so: {error}"));
        }
        let path = self.room.path().join("s.db");
        match SqliteStore::open(&path, SqliteOptions::default()).await {
            Err(StoreError::Unusable { .. }) => report.figure("read_only_told", 1, "opens"),
            other => report.problem(format!("read_only: {other:?}")),
        }
        let writable = MountFlags::empty();
        rustix::mount::mount_remount(self.room.path(), writable, SMALL).expect("it was so before");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = rustix::mount::unmount(self.room.path(), UnmountFlags::DETACH) {
            eprintln!("{} stays mounted: {error}", self.room.path().display());
        }
    }
}

/// A supervisor on a file that there is.
async fn start(path: &Path) -> Supervisor {
    let mut options = SqliteOptions::default();
    // So that a small disk holds more than the log.
    options.checkpoint_bytes = 64 << 10;
    let store = SqliteStore::open(path, options).await.expect("it opens");
    Supervisor::builder().store(store).start().await.expect("it starts")
}

/// Begins a turn, and commits it.
async fn turn(session: &Session, text: &str) -> Result<(), StoreError> {
    let told = |error: &(dyn std::error::Error + 'static)| {
        store_error(error).cloned().unwrap_or_else(|| panic!("no error of the store: {error:?}"))
    };
    let input = ChatMessage::user(text);
    let turn = session.begin(&input, ()).await.map_err(|error: BeginError| told(&error))?;
    let reply = ChatMessage::assistant(text);
    turn.commit(&reply).await.map(drop).map_err(|error| told(&error))
}

/// The disk fills up: whoever writes is told so, readers go on, and so does everybody once there is room.
async fn full(report: &Report, folder: &Path) {
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1; 100 << 10]).expect("there is room");
    let path = folder.join("s.db");
    let supervisor = start(&path).await;
    let session = supervisor.open(&key("a")).await.expect("there is room");
    let other = supervisor.open(&key("b")).await.expect("there is room");
    let mut committed = 0;
    let refused = loop {
        match turn(&session, &"x".repeat(2_000)).await {
            Ok(()) => committed += 1,
            Err(error) => break error,
        }
        assert!(committed < 10_000, "the disk has an end");
    };
    report.at_least("full_disk_committed_before", committed, "turns", 10);
    if !matches!(refused, StoreError::Full { .. }) {
        report.problem(format!("full_disk: told as {refused:?}"));
    }
    let again = turn(&other, &"x".repeat(100_000)).await;
    if !matches!(again, Err(StoreError::Full { .. })) {
        report.problem(format!("full_disk: another session is told {again:?}"));
    }
    let kept = session.transcript().await.map_or(0, |entries| entries.len());
    if kept < 2 * committed {
        report.problem(format!("full_disk: {kept} entries are read of {committed} turns"));
    }
    // Even a delete needs room, in the log. It is refused, and leaves what there is.
    let deleted = other.delete().await;
    report.figure("full_disk_delete", if deleted.is_ok() { "done" } else { "refused" }, "-");
    std::fs::remove_file(&ballast).expect("it is there");
    for (name, session) in [("the same", &session), ("another", &other)] {
        let after = match name {
            "another" if deleted.is_ok() => continue,
            // A delete that failed is finished by the next one.
            "another" => other.delete().await.map(drop).map_err(|error| format!("{error:?}")),
            _ => turn(session, "there is room again").await.map_err(|error| format!("{error:?}")),
        };
        if let Err(error) = after {
            report.problem(format!("full_disk: {name} session does not go on: {error}"));
        }
    }
    drop(supervisor.shutdown(Duration::from_secs(5)).await);
    let supervisor = start(&path).await;
    let session = supervisor.open(&key("a")).await.expect("it was there");
    let entries = session.transcript().await.expect("it is whole").len();
    if entries < 2 * (committed + 1) {
        report.problem(format!("full_disk: {entries} entries are left of {committed} turns"));
    }
    let wrong = supervisor.check_store().await.expect("it can be read");
    report.exactly("full_disk_check", wrong.len(), "problems", 0);
    drop(supervisor.shutdown(Duration::from_secs(5)).await);
}

/// The disk does not answer for a while: whoever reads or looks is answered, whoever writes waits, and nobody is
/// told anything that is not so.
async fn hang(report: &Report) {
    let room = Room::new("hang");
    fresh(room.path()).await;
    let disk = Disk::watch(room.path());
    let supervisor = start(&room.path().join("s.db")).await;
    let session = supervisor.open(&key("a")).await.expect("it opens");
    turn(&session, "before").await.expect("nothing hangs yet");
    turn(&session, "before that, too").await.expect("nothing hangs yet");
    // A sync, and not the nth call: those who read make calls as well, and who only reads is answered.
    disk.arm(Some(Plan { of: Some(Call::Sync), first: 0, count: 1, fault: Fault::Hang }));
    let mut begins = tokio::task::JoinSet::new();
    for number in 0..WAITING {
        let (supervisor, text) = (supervisor.clone(), ChatMessage::user(format!("{number}")));
        begins.spawn(async move {
            let session = supervisor.open(&key(&format!("{number}"))).await?;
            session.begin(&text, ()).await.map(|turn| turn.stream())?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
    }
    let waiting: Arc<Disk> = disk.clone();
    let hung = tokio::task::spawn_blocking(move || waiting.wait_for_a_hang());
    hung.await.expect("a call hangs");
    let entries = session.transcript().await.map_or(0, |entries| entries.len());
    report.exactly("hang_entries_read_meanwhile", entries, "entries", 4);
    report.figure("hang_status_meanwhile", session.status().is_busy(), "-");
    let early = begins.try_join_next().is_some();
    report.exactly("hang_answered_too_early", usize::from(early), "begins", 0);
    disk.disarm();
    let mut begun = 0;
    while let Some(ended) = begins.join_next().await {
        match ended.expect("it does not panic") {
            Ok(()) => begun += 1,
            Err(error) => report.problem(format!("hang: {error}")),
        }
    }
    report.exactly("hang_begun_afterwards", begun, "begins", WAITING);
    disk.forget();
    drop(supervisor.shutdown(Duration::from_secs(5)).await);
}

/// What vanishes.
#[derive(Clone, Copy, Debug)]
enum Vanish {
    /// The file.
    File,
    /// The folder that it is in.
    Folder,
}

/// The file is moved away under a store that works on it: nothing is acknowledged that nobody would find again,
/// and all goes on when it is back.
async fn vanish(report: &Report, what: Vanish) {
    let room = Room::new("vanish");
    let folder = room.path().join("data");
    std::fs::create_dir(&folder).expect("there is room");
    fresh(&folder).await;
    let path = folder.join("s.db");
    let supervisor = start(&path).await;
    let session = supervisor.open(&key("a")).await.expect("it opens");
    turn(&session, "before").await.expect("it is there");
    let (from, to) = match what {
        Vanish::File => (path.clone(), folder.join("elsewhere")),
        Vanish::Folder => (folder.clone(), room.path().join("elsewhere")),
    };
    std::fs::rename(&from, &to).expect("it can be moved");
    let told = turn(&session, "lost").await;
    let name = format!("vanished_{what:?}_told").to_lowercase();
    match told {
        Err(StoreError::Unavailable { .. }) => report.figure(&name, 1, "turns"),
        other => report.problem(format!("{what:?} has vanished, and is told as {other:?}")),
    }
    std::fs::rename(&to, &from).expect("it can be moved");
    if let Err(error) = turn(&session, "again").await {
        report.problem(format!("{what:?} is back, and {error:?}"));
    }
    drop(supervisor.shutdown(Duration::from_secs(5)).await);
    let supervisor = start(&path).await;
    let session = supervisor.open(&key("a")).await.expect("it was there");
    let entries = session.transcript().await.expect("it is whole").len();
    report.exactly(&format!("vanished_{what:?}_entries").to_lowercase(), entries, "entries", 4);
    drop(supervisor.shutdown(Duration::from_secs(5)).await);
}
