//! What the library and ractor see as `tokio`: that of Shuttle, with a clock that only a model
//! moves, and with the few items that ractor names and Shuttle has not.

pub use shuttle_tokio::{join, macros, pin, select, spawn, task_local, test};

pub mod time;

pub mod runtime {
    //! The one runtime, which is the schedule.
    use std::future::Future;

    pub use shuttle_tokio::runtime::{Builder, Runtime, TryCurrentError};

    use crate::task::JoinHandle;

    /// Starts tasks.
    #[derive(Clone, Debug)]
    pub struct Handle(shuttle_tokio::runtime::Handle);

    impl Handle {
        pub fn try_current() -> Result<Self, TryCurrentError> {
            shuttle_tokio::runtime::Handle::try_current().map(Self)
        }

        pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
        where
            F: Future<Output: Send> + Send + 'static,
        {
            self.0.spawn(work)
        }

        /// There is one runtime, so there is nothing to enter.
        pub fn enter(&self) {}
    }
}

pub mod sync {
    //! Channels and notifications.
    pub use shuttle_tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

    pub mod broadcast {
        //! Only named: no output port is used here.
        pub use real::sync::broadcast::*;
    }
}

pub mod task {
    //! Tasks.
    use std::future::Future;

    pub use shuttle_tokio::task::*;

    /// Only named: no actor of one thread is used here.
    pub fn spawn_local<F: Future>(_: F) -> JoinHandle<F::Output> {
        unimplemented!("a task of one thread")
    }

    /// Only named: no actor of one thread is used here.
    #[derive(Debug)]
    pub struct LocalSet;

    impl LocalSet {
        /// Refuses: a thread of its own would be invisible to the scheduler.
        pub fn new() -> Self {
            unimplemented!("a thread of its own")
        }

        /// Only named.
        pub fn spawn_local<F: Future>(&self, work: F) -> JoinHandle<F::Output> {
            spawn_local(work)
        }
    }

    impl Future for LocalSet {
        type Output = ();

        fn poll(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<()> {
            unimplemented!("a thread of its own")
        }
    }
}
