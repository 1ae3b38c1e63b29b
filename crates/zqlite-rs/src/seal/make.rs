//! Making a seal: the log folded in, and nobody writing to the database file while it is read.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use zqlite_pq::SigningKey;
use zqlite_pq::header::Header;
use zqlite_pq::seal::tree::Tree;
use zqlite_pq::seal::{Hash, MAX_PAGES, Seal, State, header_hash};

use super::SealOptions;
use super::leaves::{self, Pages};
use crate::builder::{check_path, open_sealed};
use crate::inspect::beside;
use crate::rekey::pinned;
use crate::vfs::{self, Access, CheckpointHold, Code, hole_is_zero, layout, with_sealed};
use crate::{Error, Progress};

/// How long SQLite waits in one go: between two, the caller is asked whether to go on.
const SLICE: Duration = Duration::from_millis(100);

/// Seals the state of a database: which bytes it has, and who says so.
///
/// Opens the file for writing, and folds the WAL into it first; then, while it reads the file, other connections may read, and in WAL mode append
/// to the log. Checks that every page opens. The seal is about the database file alone, at this moment: whatever is
/// committed later changes the file, at the latest with the next checkpoint.
///
/// # Errors
/// See [`Error`]: [`Error::CannotSeal`] if somebody keeps the log from being folded in, or there are no pages,
/// [`Error::Damaged`] if a page or a header copy is not in order.
pub fn seal(
    path: &Path,
    options: SealOptions,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Seal, Error> {
    let SealOptions {
        keyring,
        signed_by,
        signing_key,
        time,
        patience,
    } = options;
    vfs::register()?;
    check_path(path, false)?;
    let access = match signed_by {
        Some(expected) => Access::new(keyring).signed_by(expected),
        None => Access::new(keyring).accept_any_maker(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open_sealed(path, flags, access)?;
    seal_open(&connection, path, (&signing_key, time), patience, progress)
}

/// Seals the state of a database that this connection has open; `signed`: by which key, and what is said of the time.
pub(crate) fn seal_open(
    connection: &Connection,
    path: &Path,
    (signing_key, time): (&SigningKey, u64),
    patience: Duration,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Seal, Error> {
    connection.busy_timeout(SLICE)?;
    let mut waiting = Waiting {
        path,
        until: Instant::now() + patience,
        progress,
    };
    begin_folded(connection, &mut waiting)?;
    let (header, header_hash, pages) = shape(connection, path)?;
    // In the rollback modes the transaction itself, which holds RESERVED, keeps others from writing.
    let hold = if has_log(connection, path)? {
        let left = waiting.until.saturating_duration_since(Instant::now());
        let hold =
            CheckpointHold::take(connection, left.max(SLICE)).map_err(|code| match code {
                Code::BUSY => cannot(path, "a checkpoint of another connection does not end"),
                code => code.at(path),
            })?;
        connection.execute_batch("ROLLBACK").map_err(reason)?;
        Some(hold)
    } else {
        None
    };
    let root = root(connection, path, pages, waiting.progress)?;
    drop(hold);
    let state = State {
        file_id: pages.file_id,
        page_size: pages.page_size,
        pages: pages.count,
        generation: header.generation(),
        revision: header.revision(),
        header_hash,
        root,
    };
    Seal::sign(state, time, signing_key).map_err(|error| cannot(path, &error.to_string()))
}

/// Whoever is in the way is waited for.
struct Waiting<'a> {
    path: &'a Path,
    until: Instant,
    progress: &'a mut dyn FnMut(Progress) -> bool,
}

impl Waiting<'_> {
    /// Whether to try once more; if not, why.
    fn again(&mut self, what: &str, holders: &[u32]) -> Result<(), Error> {
        if !(self.progress)(Progress { done: 0, total: 0 }) {
            return Err(Error::Interrupted);
        }
        if Instant::now() < self.until {
            return Ok(());
        }
        let by = match holders {
            [] => String::new(),
            [one] => format!(" (process {one})"),
            many => {
                let many: Vec<_> = many.iter().map(ToString::to_string).collect();
                format!(" (processes {})", many.join(", "))
            }
        };
        Err(cannot(self.path, &format!("{what}{by}")))
    }
}

/// Begins a transaction that holds the write lock, where the log, if there is one, is empty.
fn begin_folded(connection: &Connection, waiting: &mut Waiting<'_>) -> Result<(), Error> {
    // SQLite follows symbolic links; what it keeps stands beside the file itself.
    let real = waiting
        .path
        .canonicalize()
        .unwrap_or_else(|_| waiting.path.to_owned());
    let log = beside(&real, "-wal");
    loop {
        let (busy, frames, copied) = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                ))
            })
            .or_else(|error| match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Ok((1, -1, -1)),
                _ => Err(reason(error)),
            })?;
        if busy != 0 {
            let what = if frames > copied {
                "a reader keeps the log from being folded in"
            } else if frames >= 0 {
                "a reader still uses the log"
            } else {
                "another connection writes, or folds the log in"
            };
            waiting.again(what, &pinned::by(&real, true))?;
            continue;
        }
        match connection.execute_batch("BEGIN IMMEDIATE") {
            Ok(()) => {}
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                drop(vfs::take_last_error());
                let holders = pinned::by(&real, false);
                waiting.again("another connection writes", &holders)?;
                continue;
            }
            Err(error) => return Err(reason(error)),
        }
        // Somebody may have committed before we had the lock.
        let left = match std::fs::metadata(&log) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(source) => return Err(Error::Io { path: log, source }),
        };
        if left == 0 || !has_log(connection, waiting.path)? {
            return Ok(());
        }
        connection.execute_batch("ROLLBACK").map_err(reason)?;
        waiting.again("other connections write without a pause", &[])?;
    }
}

/// Header and pages, while nobody changes them.
fn shape(connection: &Connection, path: &Path) -> Result<(Header, Hash, Pages), Error> {
    let read = with_sealed(connection, |sealed, _| {
        let raw = sealed.file();
        Ok((sealed.healthy_header()?, raw.len()?, hole_is_zero(raw)?))
    });
    let (header, len, hole_is_zero) = read.map_err(|code| code.at(path))?;
    let damaged = |what: &str| Error::Damaged {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let (header, copy) = header.ok_or_else(|| damaged("the header copies are not the same"))?;
    let page_size = header.page_size();
    let len_of_pages = layout::logical_len(len);
    if len_of_pages == 0 {
        return Err(cannot(path, "it has no pages yet"));
    }
    if len != layout::physical_len(len_of_pages)
        || !len_of_pages.is_multiple_of(u64::from(page_size.get()))
    {
        return Err(damaged("the file does not end with a page"));
    }
    if !hole_is_zero {
        return Err(damaged("the hole at 1 GiB is not zero"));
    }
    let count = u32::try_from(len_of_pages / u64::from(page_size.get()))
        .ok()
        .filter(|count| *count <= MAX_PAGES)
        .ok_or_else(|| damaged("more pages than SQLite has"))?;
    let pages = Pages {
        file_id: *header.file_id(),
        page_size,
        count,
    };
    Ok((header, header_hash(&copy), pages))
}

fn root(
    connection: &Connection,
    path: &Path,
    pages: Pages,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Hash, Error> {
    let raw = with_sealed(connection, |sealed, _| Ok(sealed.file()));
    let raw = raw.map_err(|code| code.at(path))?;
    let mut scratch = zeroize::Zeroizing::new(vec![0; pages.page_size.to_usize()]);
    let mut tree = Tree::new();
    leaves::read(
        raw,
        path,
        pages,
        &mut |number, stored| {
            let opens = with_sealed(connection, |sealed, _| {
                sealed.opens(number, stored, &mut scratch)
            });
            if opens.map_err(|code| code.at(path))? {
                return Ok(());
            }
            Err(Error::Damaged {
                path: path.to_owned(),
                what: format!("page {number} does not open: nothing was sealed"),
            })
        },
        |leaf| tree.push(leaf),
        progress,
    )?;
    tree.root()
        .ok_or_else(|| cannot(path, "it has no pages yet"))
}

fn has_log(connection: &Connection, path: &Path) -> Result<bool, Error> {
    with_sealed(connection, |_, wal| Ok(wal.is_some())).map_err(|code| code.at(path))
}

fn cannot(path: &Path, what: &str) -> Error {
    Error::CannotSeal {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

/// The reason of ours behind an SQLite error, if there is one.
fn reason(error: rusqlite::Error) -> Error {
    vfs::take_last_error().unwrap_or(Error::Sqlite(error))
}
