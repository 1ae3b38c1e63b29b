//! What the synchronous and the asynchronous face share.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::batch::sqlite_error;
use super::changes::Publisher;
use super::database::Status;
use super::job::{Job, Reply, job};
use super::keeper::Keeper;
use super::log::Aim;
use super::options::Options;
use super::queue::{Manner, Queue, Refused, Serving, Ticket};
use super::readers::Readers;
use super::sync::lock;
use super::transaction::WriteTransaction;
use super::writer::{Writer, read_only};
use crate::Error;
use crate::builder::{Builder, Opener};
use crate::observe::{Outcome, Recorder, publish};

/// How often the keeper looks after the pool and publishes measurements.
const ROUND: Duration = Duration::from_secs(1);

/// One open database.
pub(super) struct Core {
    pub(super) path: PathBuf,
    pub(super) options: Options,
    pub(super) recorder: Recorder,
    pub(super) readers: Arc<Readers>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) changes: Publisher,
    writing: Arc<Writing>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The queue, and the writer that serves it.
struct Writing {
    queue: Queue<Box<dyn Job>>,
    /// `None` if the database is read-only, and after the end. Who serves the queue locks it, and nobody else but who
    /// checkpoints.
    writer: Mutex<Option<Writer>>,
    path: PathBuf,
}

thread_local! {
    /// The database whose closure this thread runs: its writer does not wait for itself.
    static WITHIN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

struct Entered;

impl Entered {
    fn new(id: usize) -> Self {
        WITHIN.with_borrow_mut(|within| within.push(id));
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        WITHIN.with_borrow_mut(Vec::pop);
    }
}

impl Writing {
    fn id(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    fn serve(&self) {
        let _entered = Entered::new(self.id());
        match lock(&self.writer).as_mut() {
            Some(writer) => writer.serve(&self.queue),
            None => {
                while let Some((job, _)) = self.queue.pop(Ticket::MAX) {
                    job.finish(Err(read_only(&self.path)));
                }
            }
        }
    }

    /// Whether this thread runs a closure of this writer, which would wait for itself.
    fn is_within(&self) -> bool {
        WITHIN.with_borrow(|within| within.contains(&self.id()))
    }

    /// The writer's thread.
    fn run(&self) {
        while let Some(serving) = self.queue.wait() {
            while self.queue.len() > 0 {
                self.serve();
            }
            drop(serving);
        }
    }
}

impl Core {
    pub(super) fn open(builder: Builder, options: Options) -> Result<Self, Error> {
        let opener = Arc::new(builder.opener()?);
        let path = opener.path().to_owned();
        Self::start(&opener, options).map_err(|error| error.at(&path, "open"))
    }

    fn start(opener: &Arc<Opener>, options: Options) -> Result<Self, Error> {
        let recorder = Recorder::of_path(opener.path());
        let changes = Publisher::new();
        let writer = if opener.is_read_only() {
            None
        } else {
            Some(Writer::open(
                opener,
                &options,
                &recorder,
                changes.tracker(),
            )?)
        };
        let keeper = Arc::new(Keeper::start()?);
        let readers = Readers::new(Arc::clone(opener), &options, &recorder, &keeper)?;
        let readers = Arc::new(readers);
        super::wait::block_on(keeper.enter(readers.fill()), None).unwrap_or(Ok(()))?;
        let tended = Arc::downgrade(&readers);
        drop(keeper.handle().spawn(async move {
            let mut round = tokio::time::interval(ROUND);
            loop {
                round.tick().await;
                let Some(readers) = tended.upgrade() else {
                    break;
                };
                readers.tend();
                publish();
            }
        }));
        let writing = Arc::new(Writing {
            queue: Queue::new(options.queue_capacity),
            writer: Mutex::new(writer),
            path: opener.path().to_owned(),
        });
        let served = Arc::clone(&writing);
        let thread = std::thread::Builder::new()
            .name("zqlite-writer".to_owned())
            .spawn(move || served.run())
            .map_err(super::keeper::no_thread)?;
        recorder.writer_up(!opener.is_read_only());
        Ok(Self {
            path: opener.path().to_owned(),
            options,
            recorder,
            readers,
            keeper,
            changes,
            writing,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a closure.
    pub(super) fn submit<T, F>(
        &self,
        closure: F,
        deadline: Option<Instant>,
        manner: Manner,
    ) -> Result<(Place<'_>, Reply<T>), Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.check_not_within()?;
        let (job, reply) = job(closure, deadline);
        match self.writing.queue.push(job, manner) {
            Ok((ticket, serving)) => {
                let place = Place {
                    core: self,
                    ticket,
                    serving,
                };
                Ok((place, reply))
            }
            Err(Refused::Closed) => {
                self.recorder.outcome(Outcome::Refused);
                Err(self.closed())
            }
            Err(Refused::Full) => {
                self.recorder.outcome(Outcome::Refused);
                Err(Error::QueueFull {
                    path: self.path.clone(),
                    capacity: self.options.queue_capacity,
                })
            }
        }
    }

    fn check_not_within(&self) -> Result<(), Error> {
        if self.writing.is_within() {
            let what = "a write closure would wait for itself: use the closure's own transaction";
            return Err(sqlite_error(rusqlite::ffi::SQLITE_MISUSE, what).at(&self.path, "write"));
        }
        Ok(())
    }

    pub(super) fn closed(&self) -> Error {
        Error::Closed {
            path: self.path.clone(),
        }
    }

    /// A closure was taken back, for its time is up.
    pub(super) fn out_of_turn(&self) -> Error {
        self.recorder.outcome(Outcome::TimedOut);
        self.late("its turn at the writer")
    }

    pub(super) fn late(&self, what: &'static str) -> Error {
        Error::TimedOut {
            path: self.path.clone(),
            what,
        }
    }

    /// Moves the write-ahead log into the database, all of it.
    pub(super) fn checkpoint(&self) -> Result<(), Error> {
        self.check_not_within()?;
        match lock(&self.writing.writer).as_mut() {
            Some(writer) => writer.checkpoint(Aim::Empty).map(drop),
            None if self.writing.queue.is_closed() => Err(self.closed()),
            None => Err(read_only(&self.path)),
        }
    }

    pub(super) fn status(&self) -> Status {
        let mut running_reads = self.readers.running();
        running_reads.sort_unstable_by(|a, b| b.cmp(a));
        Status {
            queued: self.writing.queue.len(),
            readers: self.readers.status(),
            running_reads,
            closed: self.writing.queue.is_closed(),
        }
    }

    /// Takes no more closures; those that are queued still run.
    pub(super) fn stop(&self) {
        self.writing.queue.close();
    }

    /// Whether the database can be closed here.
    pub(super) fn check_closable(&self) -> Result<(), Error> {
        self.check_not_within()
    }

    /// Waits for the writer's end, and closes its connection. On the writer's own thread, where a closure may drop the last
    /// handle, it does nothing: the connection goes with the thread.
    ///
    /// The last connection that is closed checkpoints, and removes the log: the readers' are closed by now. Two that are
    /// closed at once take each other for one that stays.
    pub(super) fn join(&self) {
        // Held meanwhile: whoever else waits for the end waits here.
        let mut thread = lock(&self.thread);
        let is_own = thread
            .as_ref()
            .is_some_and(|thread| thread.thread().id() == std::thread::current().id());
        if is_own {
            return;
        }
        if let Some(thread) = thread.take() {
            drop(thread.join());
        }
        drop(lock(&self.writing.writer).take());
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.stop();
        self.readers.shut();
        // A task must not block its executor: there the writer ends by itself.
        if tokio::runtime::Handle::try_current().is_err() {
            self.join();
        }
        self.recorder.writer_up(false);
    }
}

/// A closure's place in the queue. Dropped, the closure is taken back, if it was not taken before.
pub(super) struct Place<'a> {
    core: &'a Core,
    ticket: Ticket,
    serving: Option<Serving<'a, Box<dyn Job>>>,
}

impl Place<'_> {
    /// Serves the queue, if that has fallen to this caller, until his own closure has a result.
    pub(super) fn serve(&mut self, mut done: impl FnMut() -> bool) {
        let Some(serving) = self.serving.take() else {
            return;
        };
        while !done() {
            self.core.writing.serve();
        }
        drop(serving);
    }

    /// Takes the closure back; `false` if it runs, or has run.
    pub(super) fn take_back(&self) -> bool {
        let taken = self.core.writing.queue.take_back(self.ticket);
        taken.is_some()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.take_back() {
            self.core.recorder.outcome(Outcome::Cancelled);
        }
    }
}
