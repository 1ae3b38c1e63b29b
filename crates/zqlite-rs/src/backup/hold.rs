//! Holding the pages of a file as they are, without holding writers up for long.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Source;
use crate::Error;
use crate::transfer::{ours_or_sqlite, pragma};
use crate::vfs::{CheckpointHold, Code, stored_copies, with_sealed};

/// The pause before something is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(1);
/// How long a checkpoint of others is waited for while writers wait.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(200);

/// Runs `copy` while nobody changes the pages of the file; it gets the header copies as they were when that began.
///
/// In WAL mode the log is empty then, in the sense that the file has all of it: writers go on, and what they commit stays
/// in the log until the end. In the rollback modes they wait.
pub(super) fn unchanged<T>(
    source: &Source<'_>,
    reader: &Connection,
    go_on: &mut dyn FnMut() -> bool,
    copy: impl FnOnce(&[Vec<u8>; 2]) -> Result<T, Error>,
) -> Result<T, Error> {
    let writer = source.connect()?;
    let mode =
        || source.patiently(|| writer.query_row("PRAGMA journal_mode", [], |row| row.get(0)));
    let mode: String = mode()?;
    let header = |connection: &Connection| {
        with_sealed(connection, |sealed, _| stored_copies(sealed.file()))
            .map_err(|code| code.at(source.path))
    };
    if !mode.eq_ignore_ascii_case("wal") {
        begin_immediate(source, &writer)?;
        // Another connection may have switched to WAL since.
        let mode: String = pragma(&writer, "journal_mode")?;
        if !mode.eq_ignore_ascii_case("wal") {
            let copied = copy(&header(&writer)?);
            writer.execute_batch("ROLLBACK").map_err(ours_or_sqlite)?;
            return copied;
        }
        writer.execute_batch("ROLLBACK").map_err(ours_or_sqlite)?;
    }
    let started = Instant::now();
    loop {
        // Most of the log is copied before writers have to wait.
        let _copied = checkpoint(source, reader)?;
        begin_immediate(source, &writer)?;
        let held = if checkpoint(source, reader)? {
            match CheckpointHold::take(reader, CHECKPOINT_PATIENCE) {
                Ok(hold) => Some((hold, header(&writer)?)),
                Err(Code::BUSY) => None,
                Err(code) => return Err(code.at(source.path)),
            }
        } else {
            None
        };
        writer.execute_batch("ROLLBACK").map_err(ours_or_sqlite)?;
        if let Some((hold, header)) = held {
            let copied = copy(&header);
            drop(hold);
            return copied;
        }
        if !go_on() {
            return Err(Error::Interrupted);
        }
        if started.elapsed() > source.patience {
            return Err(Error::Busy {
                path: source.path.to_owned(),
                what: "a reader or a checkpoint kept the log from being copied into the file",
            });
        }
        std::thread::sleep(PAUSE);
    }
}

fn begin_immediate(source: &Source<'_>, writer: &Connection) -> Result<(), Error> {
    source.patiently(|| writer.execute_batch("BEGIN IMMEDIATE"))
}

/// Copies of the log what no reader keeps from being copied; tells whether that was all.
fn checkpoint(source: &Source<'_>, connection: &Connection) -> Result<bool, Error> {
    let (busy, log, copied): (bool, i64, i64) = source.patiently(|| {
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
    })?;
    Ok(!busy && log == copied)
}
