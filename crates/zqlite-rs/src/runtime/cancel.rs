//! A closure that reads is stopped when nobody waits for it any more.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use rusqlite::{Connection, InterruptHandle};

use super::guard::Guard;
use super::readers::Lent;
use super::sync::lock;
use crate::Error;

/// A reader whose closure somebody else may stop.
pub(super) struct Cancellable {
    reader: Lent,
    state: Arc<Mutex<State>>,
}

/// Whoever waits for the closure. Dropped, it stops it, but nobody who gets the connection after it.
pub(super) struct Waiting {
    state: Arc<Mutex<State>>,
    guard: Arc<Guard>,
    handle: Option<InterruptHandle>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Wanted,
    Ended,
    Cancelled,
}

impl Cancellable {
    pub(super) fn new(reader: Lent) -> (Self, Waiting) {
        let state = Arc::new(Mutex::new(State::Wanted));
        let waiting = Waiting {
            state: Arc::clone(&state),
            guard: Arc::clone(reader.guard()),
            handle: reader.interrupt_handle(),
        };
        (Self { reader, state }, waiting)
    }

    /// Runs the closure, if somebody still wants it, and gives the reader back.
    pub(super) fn run<T>(
        self,
        deadline: Option<Instant>,
        closure: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if *lock(&self.state) == State::Cancelled {
            return Err(Error::Interrupted);
        }
        self.reader.run(deadline, closure)
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        // From here on nobody stops what runs on this connection, and then it goes back.
        *lock(&self.state) = State::Ended;
        self.reader.guard().cancel(false);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if *state == State::Wanted {
            *state = State::Cancelled;
            self.guard.cancel(true);
            if let Some(handle) = &self.handle {
                handle.interrupt();
            }
        }
    }
}
