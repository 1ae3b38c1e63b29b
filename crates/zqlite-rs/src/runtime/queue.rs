//! Closures that wait for the writer, and who serves them: first come, first served.
//!
//! Every entry belongs to a caller that waits for its result, and goes when the caller does. Beyond the capacity callers
//! still wait in order, but whoever would not wait is refused.
//!
//! One at a time serves the queue: the writer's thread, or a caller that may block and finds nobody else at it. So a lone
//! caller runs its closure itself, and no thread has to be woken for it.

use std::collections::VecDeque;
use std::time::Instant;

use super::sync::{Condvar, Mutex, MutexGuard, lock, wait, wait_until};

/// What identifies an entry. Later callers have greater ones.
pub(super) type Ticket = u64;

pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    /// Where the writer's thread sleeps.
    work: Condvar,
    /// Where whoever serves waits for more to come.
    company: Condvar,
    capacity: usize,
}

struct State<J> {
    queued: VecDeque<(Ticket, J)>,
    next: Ticket,
    /// Whether somebody serves. He looks again before he stops.
    served: bool,
    /// How many entries he waits for.
    wanted: Option<usize>,
    closed: bool,
}

/// Why an entry was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Closed,
    Full,
}

/// How a caller comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// He serves the queue himself if nobody does.
    pub(super) serves: bool,
    /// He waits behind a full queue.
    pub(super) waits: bool,
}

/// Who serves the queue. Dropped, he stops, and the writer's thread goes on with what is left.
pub(super) struct Serving<'a, J>(&'a Queue<J>);

impl<J> Drop for Serving<'_, J> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.served = false;
        if !state.queued.is_empty() || state.closed {
            self.0.work.notify_one();
        }
    }
}

impl<J> Queue<J> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                queued: VecDeque::new(),
                next: 1,
                served: false,
                wanted: None,
                closed: false,
            }),
            work: Condvar::new(),
            company: Condvar::new(),
            capacity,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        lock(&self.state)
    }

    /// Adds an entry at the end. With it comes the duty to serve the queue, if the caller wants it and nobody has it.
    pub(super) fn push(
        &self,
        entry: J,
        manner: Manner,
    ) -> Result<(Ticket, Option<Serving<'_, J>>), Refused> {
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if !manner.waits && state.queued.len() >= self.capacity {
            return Err(Refused::Full);
        }
        let ticket = state.next;
        state.next += 1;
        state.queued.push_back((ticket, entry));
        if state.served {
            if state
                .wanted
                .is_some_and(|wanted| state.queued.len() >= wanted)
            {
                self.company.notify_one();
            }
            Ok((ticket, None))
        } else if manner.serves {
            state.served = true;
            Ok((ticket, Some(Serving(self))))
        } else {
            self.work.notify_one();
            Ok((ticket, None))
        }
    }

    /// Sleeps until something is queued that nobody serves. `None`: the queue is closed, and empty.
    pub(super) fn wait(&self) -> Option<Serving<'_, J>> {
        let mut state = self.state();
        loop {
            if !state.served {
                if !state.queued.is_empty() {
                    state.served = true;
                    return Some(Serving(self));
                }
                if state.closed {
                    return None;
                }
            }
            state = wait(&self.work, state);
        }
    }

    /// Takes the first entry that came no later than `last`. With it comes how many are left.
    pub(super) fn pop(&self, last: Ticket) -> Option<(J, usize)> {
        let mut state = self.state();
        let (_, entry) = state.queued.pop_front_if(|(ticket, _)| *ticket <= last)?;
        Some((entry, state.queued.len()))
    }

    /// Takes back an entry, unless it was taken.
    pub(super) fn take_back(&self, ticket: Ticket) -> Option<J> {
        let mut state = self.state();
        let at = state
            .queued
            .binary_search_by_key(&ticket, |(ticket, _)| *ticket)
            .ok()?;
        state.queued.remove(at).map(|(_, entry)| entry)
    }

    pub(super) fn len(&self) -> usize {
        self.state().queued.len()
    }

    /// The ticket of the last that came.
    pub(super) fn last(&self) -> Ticket {
        self.state().next - 1
    }

    /// Whoever serves waits until this many are queued, but no longer than until then. Whether so many came.
    pub(super) fn wait_for(&self, wanted: usize, until: Instant) -> bool {
        let mut state = self.state();
        while state.queued.len() < wanted && !state.closed {
            state.wanted = Some(wanted);
            let (woken, in_time) = wait_until(&self.company, state, until);
            state = woken;
            state.wanted = None;
            if !in_time {
                break;
            }
        }
        state.queued.len() >= wanted
    }

    /// For how many entries whoever serves waits.
    #[cfg(test)]
    pub(super) fn wanted(&self) -> Option<usize> {
        self.state().wanted
    }

    /// Refuses further entries. Those that are queued stay.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.work.notify_one();
        self.company.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }
}
