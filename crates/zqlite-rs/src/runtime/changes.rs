//! Which tables a commit changed, told after it.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::hooks::Action;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use super::sync::lock;
use super::wait::block_on;
use crate::Error;
use crate::observe::Recorder;

/// How many commits a subscriber may be behind.
pub const CHANGES_KEPT: usize = 1_024;

/// What one commit changed.
#[derive(Clone, Debug)]
pub struct Change {
    tables: Arc<[Arc<str>]>,
    committed: Instant,
}

impl Change {
    /// The tables, without duplicates, in the order in which they were first changed.
    #[must_use]
    pub fn tables(&self) -> &[Arc<str>] {
        &self.tables
    }
}

/// What a subscriber is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notification {
    /// A commit changed tables that were asked for.
    Changed(Change),
    /// The subscriber fell behind by more than [`CHANGES_KEPT`] commits: any table may have changed.
    Missed(u64),
}

/// A subscription to changes of tables. See [`crate::Database::subscribe`].
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Change>,
    tables: Option<Vec<String>>,
    recorder: Recorder,
}

impl Subscription {
    /// Waits for the next notification; `None` after the database was closed. A call that is dropped misses nothing.
    pub async fn next(&mut self) -> Option<Notification> {
        loop {
            let received = match self.receiver.recv().await {
                Ok(change) => Ok(change),
                Err(RecvError::Lagged(missed)) => Err(missed),
                Err(RecvError::Closed) => return None,
            };
            if let Some(notification) = self.notification(received) {
                return Some(notification);
            }
        }
    }

    /// Waits for the next notification, and blocks the thread meanwhile.
    pub fn next_blocking(&mut self) -> Option<Notification> {
        block_on(self.next(), None).flatten()
    }

    /// The next notification if there is one.
    pub fn try_next(&mut self) -> Option<Notification> {
        loop {
            let received = match self.receiver.try_recv() {
                Ok(change) => Ok(change),
                Err(TryRecvError::Lagged(missed)) => Err(missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            };
            if let Some(notification) = self.notification(received) {
                return Some(notification);
            }
        }
    }

    fn notification(&self, received: Result<Change, u64>) -> Option<Notification> {
        match received {
            // Somebody subscribed in the middle of it.
            Ok(change) if change.tables.is_empty() => Some(Notification::Missed(1)),
            Ok(change) => {
                let wanted = self.tables.as_ref().is_none_or(|wanted| {
                    let meant = |table: &str| wanted.iter().any(|w| w.eq_ignore_ascii_case(table));
                    change.tables.iter().any(|table| meant(table))
                });
                wanted.then(|| {
                    self.recorder.notified(change.committed.elapsed());
                    Notification::Changed(change)
                })
            }
            Err(missed) => {
                self.recorder.notifications_dropped(missed);
                Some(Notification::Missed(missed))
            }
        }
    }
}

/// Where subscriptions come from.
pub(super) struct Publisher {
    sender: broadcast::Sender<Change>,
}

impl Publisher {
    pub(super) fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(CHANGES_KEPT),
        }
    }

    pub(super) fn subscribe(&self, tables: &[&str], recorder: &Recorder) -> Subscription {
        let tables = tables.iter().map(|&table| table.to_owned()).collect();
        Subscription {
            receiver: self.sender.subscribe(),
            tables: Some(tables).filter(|tables: &Vec<_>| !tables.is_empty()),
            recorder: recorder.clone(),
        }
    }

    pub(super) fn tracker(&self) -> Tracker {
        Tracker {
            sender: self.sender.clone(),
            touched: Arc::default(),
            hooked: false,
        }
    }
}

/// Notes what the writer's closures change, while somebody wants to know.
pub(super) struct Tracker {
    sender: broadcast::Sender<Change>,
    touched: Arc<Mutex<Touched>>,
    hooked: bool,
}

#[derive(Default)]
struct Touched {
    /// By closures that are part of the transaction, and from `closure_from` on by the one that runs.
    tables: Vec<Arc<str>>,
    closure_from: usize,
}

impl Touched {
    fn note(&mut self, table: &str) {
        // Rows of one table follow each other: it is most often the last.
        if !self.tables.iter().rev().any(|known| **known == *table) {
            self.tables.push(table.into());
        }
    }
}

impl Tracker {
    /// Before a transaction: listens if there are subscribers.
    pub(super) fn prepare(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let wanted = self.sender.receiver_count() > 0;
        if wanted == self.hooked {
            return Ok(());
        }
        if wanted {
            let touched = Arc::clone(&self.touched);
            connection.update_hook(Some(move |_: Action, schema: &str, table: &str, _: i64| {
                if schema == "main" {
                    lock(&touched).note(table);
                }
            }))?;
        } else {
            connection.update_hook(None::<fn(Action, &str, &str, i64)>)?;
        }
        self.hooked = wanted;
        Ok(())
    }

    /// The connection is another.
    pub(super) fn unhooked(&mut self) {
        self.hooked = false;
    }

    pub(super) fn begin_closure(&self) {
        if self.hooked {
            let mut touched = lock(&self.touched);
            touched.closure_from = touched.tables.len();
        }
    }

    /// The closure that ran last was rolled back.
    pub(super) fn drop_closure(&self) {
        if self.hooked {
            let mut touched = lock(&self.touched);
            let from = touched.closure_from;
            touched.tables.truncate(from);
        }
    }

    /// The transaction was rolled back.
    pub(super) fn forget(&self) {
        lock(&self.touched).tables.clear();
    }

    /// The transaction was committed.
    pub(super) fn publish(&self) {
        let tables = core::mem::take(&mut lock(&self.touched).tables);
        // Who subscribed after the transaction began is told that there was something.
        let unseen = !self.hooked && self.sender.receiver_count() > 0;
        if unseen || !tables.is_empty() {
            // Whoever subscribed may be gone.
            drop(self.sender.send(Change {
                tables: tables.into(),
                committed: Instant::now(),
            }));
        }
    }
}
