//! How much is allocated.

use tikv_jemalloc_ctl::{epoch, stats};

/// Bytes that are allocated by the whole process and not freed, in the allocator's size classes.
///
/// What is resident says less: an allocator keeps what was given back. What SQLite allocates is not in it,
/// since it uses the C library's allocator.
pub(crate) fn allocated() -> f64 {
    // The figures are those of the last epoch.
    epoch::advance().expect("jemalloc counts");
    stats::allocated::read().expect("jemalloc counts") as f64
}
