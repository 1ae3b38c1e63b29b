//! A database for programs with many threads or tasks: one writer with group commit, a pool of readers, both for
//! synchronous and for asynchronous callers.

mod asynchronous;
mod batch;
mod cancel;
mod changes;
mod database;
mod ffi;
mod guard;
mod job;
mod keeper;
mod log;
mod options;
mod queue;
mod readers;
mod shared;
mod stream;
mod sync;
mod transaction;
mod wait;
mod writer;

pub use asynchronous::AsyncDatabase;
pub use changes::{CHANGES_KEPT, Change, Notification, Subscription};
pub use database::{Database, Status};
pub use options::{Durability, Options, READERS_MAX};
pub use stream::{RowSender, RowStream, Rows};
pub use transaction::WriteTransaction;
