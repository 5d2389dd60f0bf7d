//! What `src/rt.rs` takes from here instead of `parking_lot`, `std` and `tokio-util`: the same
//! types, each of whose operations is a step that the scheduler can put another task before.

use std::future::Future;
use std::hash::{BuildHasher, DefaultHasher, Hash};

pub use shuttle::sync::MutexGuard;
pub use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Hashes with the same keys in every run, so that a seed stands for one schedule.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomState;

impl RandomState {
    pub fn hash_one(&self, value: impl Hash) -> u64 {
        BuildHasher::hash_one(self, value)
    }
}

impl BuildHasher for RandomState {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        DefaultHasher::new()
    }
}

/// Random bits that the schedule knows.
pub fn random_u128() -> u128 {
    use shuttle::rand::RngCore;
    let mut rng = shuttle::rand::thread_rng();
    u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())
}

/// A step: whoever else can run may run before what comes next.
fn step() {
    shuttle_engine::runtime::thread::switch_if_not_stopping();
}

/// A lock as `parking_lot` has it: without poison.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }

    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A cell that is written once. What fills it must not wait for anything.
#[derive(Debug)]
pub struct OnceLock<T>(std::sync::OnceLock<T>);

impl<T> OnceLock<T> {
    pub const fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }

    pub fn get(&self) -> Option<&T> {
        step();
        self.0.get()
    }

    pub fn get_or_init(&self, fill: impl FnOnce() -> T) -> &T {
        step();
        self.0.get_or_init(fill)
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The token of `tokio-util`, which needs no runtime, with a step before whatever it does.
#[derive(Clone, Debug, Default)]
pub struct CancellationToken(tokio_util::sync::CancellationToken);

impl CancellationToken {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn cancel(&self) {
        step();
        self.0.cancel();
    }

    pub fn is_cancelled(&self) -> bool {
        step();
        self.0.is_cancelled()
    }

    pub async fn cancelled(&self) {
        step();
        self.0.cancelled().await;
    }

    pub async fn run_until_cancelled<F: Future>(&self, work: F) -> Option<F::Output> {
        step();
        self.0.run_until_cancelled(work).await
    }
}
