//! The thread that looks after a database: timeouts, idle connections, measurements; and threads for what blocks.

use std::sync::Mutex;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::sync::lock;
use crate::Error;

pub(super) struct Keeper {
    handle: Handle,
    stop: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Keeper {
    pub(super) fn start() -> Result<Self, Error> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .thread_name("zqlite-blocking")
            .build()
            .map_err(no_thread)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("zqlite-keeper".to_owned())
            .spawn(move || {
                // Its end, too, stops the keeper.
                drop(runtime.block_on(stopped));
                runtime.shutdown_background();
            })
            .map_err(no_thread)?;
        Ok(Self {
            handle,
            stop: Mutex::new(Some((stop, thread))),
        })
    }

    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs what blocks on a thread for that.
    pub(super) async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self.handle.spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => Err(Error::Panicked(
                "while work was done on a thread of its own".to_owned(),
            )),
            Err(_) => Err(Error::Interrupted),
        }
    }

    /// Runs what blocks and has no result.
    pub(super) fn detach(&self, work: impl FnOnce() + Send + 'static) {
        drop(self.handle.spawn_blocking(work));
    }

    /// Lets a future set clocks, whoever polls it.
    pub(super) async fn enter<F: Future>(&self, future: F) -> F::Output {
        let mut future = core::pin::pin!(future);
        core::future::poll_fn(|context| {
            let _entered = self.handle.enter();
            future.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some((stop, thread)) = lock(&self.stop).take() {
            // The keeper may have gone already.
            let _gone = stop.send(());
            // The keeper's own tasks hold no keeper: it is never itself that waits for itself.
            if thread.thread().id() != std::thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

pub(super) fn no_thread(source: std::io::Error) -> Error {
    Error::Io {
        path: std::path::PathBuf::from("a thread of the database"),
        source,
    }
}
