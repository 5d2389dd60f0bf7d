//! The settings of a SQLite store.

/// How a [`SqliteStore`](super::SqliteStore) uses its file. Values outside their bounds are moved to
/// the nearest one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// What an acknowledged write survives. Default: [`Synchronous::Full`].
    pub synchronous: Synchronous,
    /// How many writes, of all sessions together, may wait for the disk; one more is refused with
    /// [`StoreError::Full`](crate::store::StoreError::Full). Default: 65,536. Bounds: 1 and up.
    pub max_queued: usize,
    /// How many waiting writes are gathered into one transaction. Default: 1,024. Bounds: 1 and up.
    pub max_batch: usize,
    /// How many reads run at once, each on a connection of its own; a check or a long listing has
    /// one for all of its time. Default: 2. Bounds: 1 to 64.
    pub readers: usize,
    /// Bytes of the file that each connection keeps in memory. Default: 8 MiB. Bounds: 64 KiB to
    /// 64 GiB.
    pub cache_bytes: usize,
    /// How large the file may grow, in bytes, in steps of 4 KiB; beyond it, writes that need room
    /// are refused with [`StoreError::Full`](crate::store::StoreError::Full). The log beside the
    /// file is not counted. Default: `None`, which leaves it to the disk. Bounds: 256 KiB and up;
    /// a file that is larger already does not grow.
    pub max_file_bytes: Option<u64>,
    /// How large the log beside the file grows before it is taken over into the file, in bytes, in
    /// steps of 4 KiB. More makes a start after a crash longer, less writes hot pages more often.
    /// Default: 16 MiB. Bounds: 64 KiB to 1 GiB.
    pub checkpoint_bytes: u64,
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Synchronous {
    /// A power cut: the log is synced before a write is acknowledged.
    #[default]
    Full,
    /// A crash of the process. After a power cut the newest writes may be missing, though none is
    /// half there.
    Normal,
}

impl SqliteOptions {
    /// The default of `max_queued`.
    pub const DEFAULT_MAX_QUEUED: usize = 65_536;
    /// The default of `max_batch`.
    pub const DEFAULT_MAX_BATCH: usize = 1_024;
    /// The default of `readers`.
    pub const DEFAULT_READERS: usize = 2;
    /// The default of `cache_bytes`.
    pub const DEFAULT_CACHE_BYTES: usize = 8 << 20;
    /// The default of `checkpoint_bytes`.
    pub const DEFAULT_CHECKPOINT_BYTES: u64 = 16 << 20;

    /// The same with every value inside its bounds.
    pub(super) fn bounded(mut self) -> Self {
        self.max_queued = self.max_queued.max(1);
        self.max_batch = self.max_batch.max(1);
        self.readers = self.readers.clamp(1, 64);
        self.cache_bytes = self.cache_bytes.clamp(64 << 10, 64 << 30);
        self.max_file_bytes = self.max_file_bytes.map(|bytes| bytes.max(256 << 10));
        self.checkpoint_bytes = self.checkpoint_bytes.clamp(64 << 10, 1 << 30);
        self
    }
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::default(),
            max_queued: Self::DEFAULT_MAX_QUEUED,
            max_batch: Self::DEFAULT_MAX_BATCH,
            readers: Self::DEFAULT_READERS,
            cache_bytes: Self::DEFAULT_CACHE_BYTES,
            max_file_bytes: None,
            checkpoint_bytes: Self::DEFAULT_CHECKPOINT_BYTES,
        }
    }
}

impl Synchronous {
    /// Its name in SQL.
    pub(super) const fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_their_docs_say() {
        let usual = SqliteOptions::default();
        assert_eq!((usual.max_queued, usual.max_batch, usual.readers), (65_536, 1_024, 2));
        assert_eq!((usual.cache_bytes, usual.checkpoint_bytes), (8_388_608, 16_777_216));
        assert_eq!(usual.clone().bounded(), usual);
    }

    #[test]
    fn every_value_is_brought_inside_its_bounds() {
        let all = |value: usize| {
            let number = value as u64;
            let options = SqliteOptions {
                synchronous: Synchronous::Full,
                max_queued: value,
                max_batch: value,
                readers: value,
                cache_bytes: value,
                max_file_bytes: Some(number),
                checkpoint_bytes: number,
            };
            options.bounded()
        };
        let least = all(0);
        assert_eq!((least.max_queued, least.max_batch, least.readers), (1, 1, 1));
        assert_eq!((least.cache_bytes, least.checkpoint_bytes), (65_536, 65_536));
        assert_eq!(least.max_file_bytes, Some(262_144));
        let most = all(1 << 40);
        assert_eq!((most.max_queued, most.max_batch, most.readers), (1 << 40, 1 << 40, 64));
        assert_eq!((most.cache_bytes, most.checkpoint_bytes), (68_719_476_736, 1_073_741_824));
        assert_eq!(most.max_file_bytes, Some(1 << 40));
    }
}
