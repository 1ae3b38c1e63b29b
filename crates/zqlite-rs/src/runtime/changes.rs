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

/// What the name of a table with compressed columns ends with: its rows are in there (FORMAT.md section 20).
const COMPRESSED: &str = "_zqlite_rows";

fn without_suffix(table: &str) -> &str {
    table.strip_suffix(COMPRESSED).unwrap_or(table)
}

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
    /// So many commits of which it is not known what they changed: any table may have changed. The subscriber fell behind by
    /// more than [`CHANGES_KEPT`], subscribed in the middle of a commit, or SQLite did not report each row: it reports none of
    /// `WITHOUT ROWID` tables, of a `DELETE` without `WHERE`, nor what went with a table that was dropped.
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
            // Nobody noted which.
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
        let tables = tables
            .iter()
            .map(|&table| without_suffix(table).to_owned())
            .collect();
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
            changed_before: 0,
        }
    }
}

/// Notes what the writer's closures change, while somebody wants to know.
pub(super) struct Tracker {
    sender: broadcast::Sender<Change>,
    touched: Arc<Mutex<Touched>>,
    hooked: bool,
    /// What SQLite had counted when the closure began that runs.
    changed_before: u64,
}

#[derive(Default)]
struct Touched {
    /// By closures that are part of the transaction, and from `closure_from` on by the one that runs.
    tables: Vec<Arc<str>>,
    closure_from: usize,
    /// How many rows the closure that runs has changed, as far as SQLite has reported them.
    rows: u64,
    /// Whether a closure that is part of the transaction changed others.
    unreported: bool,
}

impl Touched {
    fn note(&mut self, table: &str) {
        self.rows += 1;
        // Whoever knows a table with compressed columns knows it by the name that its view has now.
        let table = without_suffix(table);
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
                let mut touched = lock(&touched);
                if schema == "main" {
                    touched.note(table);
                } else {
                    touched.rows += 1;
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

    pub(super) fn begin_closure(&mut self, connection: &Connection) {
        if self.hooked {
            self.changed_before = connection.total_changes();
            let mut touched = lock(&self.touched);
            touched.closure_from = touched.tables.len();
            touched.rows = 0;
        }
    }

    /// The closure that ran last is part of the transaction; `dropped` if it dropped a table.
    pub(super) fn keep_closure(&self, connection: &Connection, dropped: bool) {
        if self.hooked {
            let changed = connection.total_changes() - self.changed_before;
            let mut touched = lock(&self.touched);
            touched.unreported |= dropped || changed > touched.rows;
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
        *lock(&self.touched) = Touched::default();
    }

    /// The transaction was committed.
    pub(super) fn publish(&self) {
        let touched = core::mem::take(&mut *lock(&self.touched));
        // Who subscribed after the transaction began is told that there was something.
        let unseen = touched.unreported || (!self.hooked && self.sender.receiver_count() > 0);
        if unseen || !touched.tables.is_empty() {
            let tables = if unseen { Vec::new() } else { touched.tables };
            // Whoever subscribed may be gone.
            drop(self.sender.send(Change {
                tables: tables.into(),
                committed: Instant::now(),
            }));
        }
    }
}
