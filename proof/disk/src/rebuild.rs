//! The disk as it is after a power cut, at any point of what was recorded.
//!
//! What was synced is there. Of what was written since, each write is there or not whatever the others are,
//! and so is each of its sectors: a disk keeps no order. A new name is there for sure once its file was synced,
//! since SQLite then syncs the folder as well.

use std::collections::BTreeMap;
use std::path::Path;

use crate::disk::{self, Event, Node};
use crate::random::Random;

/// What a disk writes whole or not at all, in bytes.
const SECTOR: u64 = 512;

/// What became of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing of it is there.
    Lost,
    /// All of it is.
    Kept,
    /// Each write is there or not.
    Subset,
    /// Each sector of each write is there, or not, or, seldom, is garbage.
    Torn,
}

impl Way {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Lost, Self::Kept, Self::Subset, Self::Torn];
}

/// The files of a folder.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// The disk at one point.
#[derive(Debug)]
pub(crate) struct Rebuild {
    /// The files, by number.
    files: Vec<File>,
    /// The names as a program sees them.
    names: BTreeMap<String, Node>,
    /// The names that are there for sure.
    synced_names: BTreeMap<String, Node>,
    /// Decides about a failed sync.
    random: Random,
    /// Counts the syncs: what is lost is the same until the next.
    pub(crate) syncs: usize,
}

/// A file at one point.
#[derive(Debug, Default)]
struct File {
    /// What is there for sure.
    synced: Vec<u8>,
    /// What was done since, in order.
    since: Vec<Change>,
}

/// What was done to a file.
#[derive(Clone, Debug)]
enum Change {
    /// Bytes were written.
    Write { at: u64, bytes: Box<[u8]> },
    /// It was given another size.
    Truncate { size: u64 },
}

impl Rebuild {
    /// The disk as it was when the recording began.
    pub(crate) fn new(base: &Image, random: Random) -> Self {
        let names: BTreeMap<_, _> = base.keys().cloned().zip(0..).collect();
        let files = base.values().map(|bytes| File { synced: bytes.clone(), since: Vec::new() });
        Self { files: files.collect(), synced_names: names.clone(), names, random, syncs: 0 }
    }

    /// Goes on by one event; says whether it did something to the disk.
    pub(crate) fn apply(&mut self, event: &Event) -> bool {
        match event {
            Event::Create { node, name } => {
                self.files.resize_with((*node + 1).max(self.files.len()), File::default);
                self.names.insert(name.clone(), *node);
            }
            Event::Write { node, at, bytes } => {
                self.files[*node].since.push(Change::Write { at: *at, bytes: bytes.clone() });
            }
            Event::Truncate { node, size } => {
                self.files[*node].since.push(Change::Truncate { size: *size });
            }
            Event::Sync { node } => {
                let file = &mut self.files[*node];
                for change in std::mem::take(&mut file.since) {
                    change.apply(&mut file.synced);
                }
                if self.synced_names.values().all(|named| named != node) {
                    self.synced_names.clone_from(&self.names);
                }
                self.syncs += 1;
            }
            Event::SyncFailed { node } => {
                let file = &mut self.files[*node];
                for change in std::mem::take(&mut file.since) {
                    if self.random.coin() {
                        change.apply(&mut file.synced);
                    }
                }
                self.syncs += 1;
            }
            Event::Delete { name, synced } => {
                self.names.remove(name);
                if *synced {
                    self.synced_names.clone_from(&self.names);
                    self.syncs += 1;
                }
            }
            Event::Rename { from, to } => {
                let node = self.names.remove(from).expect("it was there");
                self.names.insert(to.clone(), node);
                self.synced_names.clone_from(&self.names);
                self.syncs += 1;
            }
            Event::Asked { .. } | Event::Answered { .. } | Event::Said(_) => return false,
        }
        true
    }

    /// How many changes are not synced.
    pub(crate) fn unsynced(&self) -> usize {
        self.files.iter().map(|file| file.since.len()).sum()
    }

    /// What a power cut leaves.
    pub(crate) fn cut(&self, way: Way, random: &mut Random) -> Image {
        let names = match way {
            Way::Lost => &self.synced_names,
            Way::Kept => &self.names,
            Way::Subset | Way::Torn if random.coin() => &self.synced_names,
            Way::Subset | Way::Torn => &self.names,
        };
        let file = |(name, node): (&String, &Node)| {
            let file = &self.files[*node];
            let mut bytes = file.synced.clone();
            for change in &file.since {
                match way {
                    Way::Lost => {}
                    Way::Kept => change.apply(&mut bytes),
                    Way::Subset if random.coin() => change.apply(&mut bytes),
                    Way::Subset => {}
                    Way::Torn => change.tear(&mut bytes, random),
                }
            }
            (name.clone(), bytes)
        };
        names.iter().map(file).collect()
    }
}

impl Change {
    /// Does it.
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => put(file, *at, bytes),
            Self::Truncate { size } => file.resize(length(*size), 0),
        }
    }

    /// Does it sector by sector.
    fn tear(&self, file: &mut Vec<u8>, random: &mut Random) {
        let Self::Write { at, bytes } = self else {
            if random.coin() {
                self.apply(file);
            }
            return;
        };
        let (mut at, mut rest) = (*at, &bytes[..]);
        while !rest.is_empty() {
            let (sector, more) = rest.split_at(rest.len().min(length(SECTOR - at % SECTOR)));
            match random.below(16) {
                // What SQLite counts on is that a write harms nothing beside it.
                0 => put(file, at, &vec![random.next().to_le_bytes()[0]; sector.len()]),
                1..9 => put(file, at, sector),
                _ => {}
            }
            at += sector.len() as u64;
            rest = more;
        }
    }
}

/// Writes bytes into a file.
fn put(file: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (start, end) = (length(at), length(at) + bytes.len());
    if file.len() < end {
        file.resize(end, 0);
    }
    file[start..end].copy_from_slice(bytes);
}

fn length(size: u64) -> usize {
    usize::try_from(size).expect("files here are small")
}

/// Reads the files of a folder.
pub(crate) fn read(folder: &Path) -> Image {
    let read = |name: String| {
        let bytes = std::fs::read(folder.join(&name)).expect("it can be read");
        (name, bytes)
    };
    disk::files(folder).into_iter().map(read).collect()
}

/// Makes the files of a folder these.
pub(crate) fn write(folder: &Path, image: &Image) {
    for left in std::fs::read_dir(folder).expect("the folder is there") {
        let path = left.expect("it can be read").path();
        if path.extension().is_none_or(|ending| ending != "lock") {
            std::fs::remove_file(path).expect("it can be removed");
        }
    }
    for (name, bytes) in image {
        std::fs::write(folder.join(name), bytes).expect("there is room");
    }
}
