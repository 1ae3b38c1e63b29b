//! Large results, piece by piece.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::cancel::{Cancellable, Waiting};
use super::readers::Lent;
use super::shared::Core;
use super::wait::block_on;
use crate::Error;

/// What a read closure sends, in order. The last item is the closure's error, if it had one.
///
/// While the stream lives and is not at its end, the closure's transaction is open, and keeps the write-ahead log from
/// shrinking.
pub struct RowStream<T> {
    receiver: mpsc::Receiver<Result<T, Error>>,
    /// Interrupts the closure when the stream is dropped.
    _waiting: Waiting,
    /// The database stays open for it.
    _core: Arc<Core>,
}

impl<T> core::fmt::Debug for RowStream<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RowStream").finish_non_exhaustive()
    }
}

/// Where a read closure sends what it streams.
pub struct RowSender<T> {
    sender: mpsc::Sender<Result<T, Error>>,
}

impl<T> core::fmt::Debug for RowSender<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RowSender").finish_non_exhaustive()
    }
}

impl<T> RowSender<T> {
    /// Sends a value, and blocks while the stream is too far behind.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if nobody wants the values any more: the closure should return it.
    pub fn send(&self, value: T) -> Result<(), Error> {
        match block_on(self.sender.send(Ok(value)), None) {
            Some(Ok(())) => Ok(()),
            _ => Err(Error::Interrupted),
        }
    }
}

impl<T: Send + 'static> RowStream<T> {
    pub(super) fn start<F>(core: &Arc<Core>, reader: Lent, buffer: usize, closure: F) -> Self
    where
        F: FnOnce(&Connection, &RowSender<T>) -> Result<(), Error> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(buffer.clamp(1, mpsc_most()));
        let (reader, waiting) = Cancellable::new(reader);
        core.keeper.detach(move || {
            let sender = RowSender { sender };
            let result = reader.run(None, |connection| closure(connection, &sender));
            if let Err(error) = result {
                // Nobody there: nobody to tell.
                drop(block_on(sender.sender.send(Err(error)), None));
            }
        });
        Self {
            receiver,
            _waiting: waiting,
            _core: Arc::clone(core),
        }
    }
}

impl<T> RowStream<T> {
    /// The next value; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        self.receiver.recv().await
    }
}

impl<T> futures_core::Stream for RowStream<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context)
    }
}

/// For synchronous callers: blocks until there is a value.
#[derive(Debug)]
pub struct Rows<T>(RowStream<T>);

impl<T> IntoIterator for RowStream<T> {
    type Item = Result<T, Error>;
    type IntoIter = Rows<T>;

    fn into_iter(self) -> Rows<T> {
        Rows(self)
    }
}

impl<T> Iterator for Rows<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next(), None).flatten()
    }
}

/// More than any program has memory for.
const fn mpsc_most() -> usize {
    tokio::sync::Semaphore::MAX_PERMITS
}
