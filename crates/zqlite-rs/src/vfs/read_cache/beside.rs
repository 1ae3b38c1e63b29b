//! A thread that opens what was read ahead, beside the connection that reads.
//!
//! It is started when a connection first reads a long run, and ends with the connection, or when it had nothing to do for
//! a while. The connection never waits for it. There are never more such threads than processors beside that of a connection.

use core::mem::ManuallyDrop;
use core::time::Duration;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use zqlite_pq::page::PageOpener;

use super::window::Window;
use crate::vfs::ffi;
use crate::vfs::sealed::PageKeys;

/// The thread ends when there was nothing to do for so long.
const IDLE: Duration = Duration::from_secs(1);

/// How many such threads the process has.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The thread of one connection, if there is one.
#[derive(Default)]
pub(super) struct Beside {
    // In the child of a fork there is no such thread, and the locks that it held then are held for ever: there this is left
    // as it is.
    at_work: Option<ManuallyDrop<AtWork>>,
}

struct AtWork {
    process: u32,
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

/// What is to be opened, and by which keys.
struct Job {
    window: Arc<Window>,
    keys: PageKeys,
}

impl Beside {
    /// Whether this machine has a processor for the thread.
    pub(super) fn pays() -> bool {
        processors() > 1
    }

    /// Has a window opened, as far as the connection does not come first. Without a thread, or if that has enough to do,
    /// nothing happens.
    pub(super) fn open(&mut self, window: &Arc<Window>, keys: PageKeys) {
        let job = Job {
            window: Arc::clone(window),
            keys,
        };
        match self.hand_over(job) {
            Some(TrySendError::Disconnected(job)) => {
                // It was idle for too long.
                self.end();
                self.hand_over(job);
            }
            Some(TrySendError::Full(_)) | None => {}
        }
    }

    fn hand_over(&mut self, job: Job) -> Option<TrySendError<Job>> {
        if self.at_work.is_none() {
            self.at_work = start().map(ManuallyDrop::new);
        }
        let at_work = self.at_work.as_ref()?;
        if at_work.process != ffi::process() {
            return None;
        }
        at_work.jobs.try_send(job).err()
    }

    fn end(&mut self) {
        let Some(at_work) = self.at_work.take() else {
            return;
        };
        if at_work.process != ffi::process() {
            return;
        }
        let AtWork { jobs, thread, .. } = ManuallyDrop::into_inner(at_work);
        drop(jobs);
        // It could only tell of a panic, which has been told.
        drop(thread.join());
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.end();
    }
}

/// How many processors the process may use.
pub(in crate::vfs) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// One of the threads that there may be.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let most = processors().saturating_sub(1);
        THREADS
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |threads| {
                (threads < most).then_some(threads + 1)
            })
            .ok()
            .map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn start() -> Option<AtWork> {
    let place = Place::take()?;
    let (jobs, received) = mpsc::sync_channel(1);
    let thread = ffi::without_signals(|| {
        std::thread::Builder::new()
            .name("zqlite-ahead".to_owned())
            .spawn(move || {
                let _place = place;
                work(&received);
            })
    });
    Some(AtWork {
        process: ffi::process(),
        jobs,
        thread: thread.ok()?,
    })
}

fn work(jobs: &Receiver<Job>) {
    let mut opener = PageOpener::new();
    while let Ok(Job { window, keys }) = jobs.recv_timeout(IDLE) {
        window.open_beside(|number, page| keys.open(&mut opener, number, page));
    }
}
