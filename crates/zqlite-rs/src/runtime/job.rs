//! A closure on its way through the writer, and its result on the way back.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tokio::sync::oneshot;

use super::transaction::WriteTransaction;
use crate::Error;
use crate::observe::Span;

/// A closure with its type erased.
pub(super) trait Job: Send {
    /// Runs the closure, once. Its value is kept until [`Job::finish`].
    fn run(&mut self, transaction: &WriteTransaction<'_>) -> Result<(), Error>;

    /// Sends the caller the value, or why there is none.
    fn finish(self: Box<Self>, outcome: Result<(), Error>);

    /// Until when the closure may run.
    fn deadline(&self) -> Option<Instant>;

    /// When it was queued.
    fn queued(&self) -> Instant;

    /// The span of whoever queued it.
    fn caller(&self) -> &Span;
}

/// Where a caller waits for his result.
pub(super) type Reply<T> = oneshot::Receiver<Result<T, Error>>;

struct Closure<T, F> {
    closure: Option<F>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
    deadline: Option<Instant>,
    queued: Instant,
    caller: Span,
}

/// Makes a job of a closure.
pub(super) fn job<T, F>(closure: F, deadline: Option<Instant>) -> (Box<dyn Job>, Reply<T>)
where
    T: Send + 'static,
    F: FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send + 'static,
{
    let (reply, result) = oneshot::channel();
    let job = Closure {
        closure: Some(closure),
        value: None,
        reply,
        deadline,
        queued: Instant::now(),
        caller: Span::current(),
    };
    (Box::new(job), result)
}

impl<T, F> Job for Closure<T, F>
where
    T: Send,
    F: FnOnce(&WriteTransaction<'_>) -> Result<T, Error> + Send,
{
    fn run(&mut self, transaction: &WriteTransaction<'_>) -> Result<(), Error> {
        if let Some(closure) = self.closure.take() {
            self.value = Some(caught(|| closure(transaction))?);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), Error>) {
        let Self {
            closure,
            mut value,
            reply,
            ..
        } = *self;
        // The caller is told first. What is left then is destroyed by the application's own code, which may panic; so
        // may what the caller does not take.
        for left in [
            caught(|| {
                let result = outcome.and_then(|()| {
                    let lost = || Error::Panicked("the closure was never run".to_owned());
                    value.take().ok_or_else(lost)
                });
                drop(reply.send(result));
                Ok(())
            }),
            caught(move || {
                drop(value);
                Ok(())
            }),
            caught(move || {
                drop(closure);
                Ok(())
            }),
        ] {
            drop(left);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn queued(&self) -> Instant {
        self.queued
    }

    fn caller(&self) -> &Span {
        &self.caller
    }
}

/// Runs a closure of the application; a panic becomes an error.
pub(super) fn caught<T>(closure: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // What the closure leaves behind is rolled back, and its own state is gone with it.
    catch_unwind(AssertUnwindSafe(closure)).unwrap_or_else(|payload| {
        let message = message(payload.as_ref());
        // Its own destructor may panic, too.
        drop(catch_unwind(AssertUnwindSafe(|| drop(payload))));
        Err(Error::Panicked(message))
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
