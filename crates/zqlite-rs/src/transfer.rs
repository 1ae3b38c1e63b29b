//! Whole databases from plain to sealed and back.
//!
//! SQLite itself copies (VACUUM INTO), so every feature of a database survives. The copy is made beside the
//! target under a temporary name, synced, and renamed when it is complete.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use zqlite_pq::SigningKey;
use zqlite_pq::epoch::FileId;
use zqlite_pq::header::{Expected, Keyring, NewSlot};
use zqlite_pq::label::MAGIC;
use zqlite_pq::page::{PageSize, TRAILER_LEN};

use crate::Error;
use crate::builder::{check_path, not_a_uri};
use crate::target::Target;
use crate::verify::open_reading_anchored;
use crate::vfs::{self, Access, default_vfs_name};

mod schema_order;
use schema_order::SchemaOrder;

/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// How far a transfer is; the callback returns whether to go on (`false` stops it and removes the
/// unfinished target).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes done so far.
    pub done: u64,
    /// Bytes expected in all (an estimate).
    pub total: u64,
}

/// How [`encrypt`] makes the sealed file.
#[derive(Debug)]
#[non_exhaustive]
pub struct EncryptOptions {
    /// Who may open it.
    pub slots: Vec<NewSlot>,
    /// Who signs the header.
    pub signing_key: Option<SigningKey>,
    /// Page size; `None`: that of the plain database, at least 4,096.
    pub page_size: Option<PageSize>,
    /// Replace an existing target.
    pub force: bool,
}

impl EncryptOptions {
    /// Options with these slots, unsigned, page size as the source.
    #[must_use]
    pub const fn new(slots: Vec<NewSlot>) -> Self {
        Self {
            slots,
            signing_key: None,
            page_size: None,
            force: false,
        }
    }
}

/// What [`encrypt`] did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Encrypted {
    /// Page size of the plain database.
    pub plain_page_size: u32,
    /// Page size of the sealed one.
    pub page_size: u32,
    /// Number of pages.
    pub pages: u64,
    /// The new file's id.
    pub file_id: FileId,
    /// Unfinished files of earlier runs that were removed.
    pub removed_leftovers: usize,
}

/// How [`decrypt`] opens the sealed file.
#[derive(Debug)]
#[non_exhaustive]
pub struct DecryptOptions {
    /// Keys that may open it.
    pub keyring: Keyring,
    /// The expected maker; `None` accepts any.
    pub signed_by: Option<Expected>,
    /// Replace an existing target.
    pub force: bool,
    /// What remembers the newest header that was seen.
    pub anchor: Option<std::sync::Arc<dyn crate::Anchor>>,
}

impl DecryptOptions {
    /// Options with these keys, any maker.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            signed_by: None,
            force: false,
            anchor: None,
        }
    }
}

/// Seals a plain SQLite database (with its WAL, if it has one) into a new file.
///
/// # Errors
/// See [`Error`]. The target is untouched then.
pub fn encrypt(
    plain: &Path,
    sealed: &Path,
    options: EncryptOptions,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Encrypted, Error> {
    vfs::register()?;
    // The reason of an earlier failure is not that of this one.
    drop(vfs::take_last_error());
    let source = open_plain(plain)?;
    let shape = Shape::of(&source)?;
    let page_size = match options.page_size {
        Some(size) => size,
        None => PageSize::new(shape.page_size.max(PageSize::MIN.get()))
            .map_err(|error| Error::Create(error.to_string()))?,
    };
    let target = Target::create(sealed, options.force)?;
    let access = Access::new(Keyring::new())
        .accept_any_maker()
        .create(options.slots, page_size, options.signing_key)
        .layout_set_by_client();
    let registration = Registration::new(target.unfinished(), access)?;
    // VACUUM INTO makes pages of the size that the source would have after a VACUUM.
    source.pragma_update(None, "page_size", page_size.get())?;
    let parameters = format!("?vfs={}&reserve={TRAILER_LEN}", vfs::NAME);
    let order = SchemaOrder::of(&source)?;
    copy(
        source,
        target.unfinished(),
        &parameters,
        shape.len(),
        progress,
    )?;
    let made = open_made(target.unfinished())?;
    order.restore(&made)?;
    restore_journal_mode(&made, shape.wal)?;
    let (pages, file_id) = vfs::with_sealed(&made, |sealed, _| {
        let opened = sealed.opened().ok_or(vfs::Code::NOTFOUND)?;
        Ok((sealed.pages()?.0, *opened.header.file_id()))
    })
    .map_err(|code| code.at(target.unfinished()))?;
    drop(made);
    drop(registration);
    let removed_leftovers = target.removed_leftovers();
    target.finish()?;
    Ok(Encrypted {
        plain_page_size: shape.page_size,
        page_size: page_size.get(),
        pages,
        file_id,
        removed_leftovers,
    })
}

/// Writes the plain SQLite database of a sealed file.
///
/// # Errors
/// See [`Error`]. The target is untouched then.
pub fn decrypt(
    sealed: &Path,
    plain: &Path,
    options: DecryptOptions,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(), Error> {
    let source = open_reading_anchored(sealed, options.keyring, options.signed_by, options.anchor)?;
    let shape = Shape::of(&source)?;
    let target = Target::create(plain, options.force)?;
    let plain_vfs = default_vfs_name().unwrap_or_default();
    let order = SchemaOrder::of(&source)?;
    copy(
        source,
        target.unfinished(),
        &format!("?vfs={plain_vfs}&reserve=0"),
        shape.len(),
        progress,
    )?;
    let made = open_plain_for_writing(target.unfinished())?;
    order.restore(&made)?;
    restore_journal_mode(&made, shape.wal)?;
    drop(made);
    target.finish()
}

/// What of a database VACUUM INTO does not carry over, and how big it is.
struct Shape {
    page_size: u32,
    pages: u64,
    wal: bool,
}

impl Shape {
    fn of(source: &Connection) -> Result<Self, Error> {
        let mode: String = pragma(source, "journal_mode")?;
        Ok(Self {
            page_size: pragma(source, "page_size")?,
            pages: u64::try_from(pragma::<i64>(source, "page_count")?).unwrap_or(0),
            wal: mode.eq_ignore_ascii_case("wal"),
        })
    }

    const fn len(&self) -> u64 {
        self.pages * self.page_size as u64
    }
}

pub(crate) fn pragma<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &str,
) -> Result<T, Error> {
    connection
        .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
        .map_err(ours_or_sqlite)
}

/// The reason of ours behind an SQLite error, if there is one.
pub(crate) fn ours_or_sqlite(error: rusqlite::Error) -> Error {
    vfs::take_last_error().unwrap_or(Error::Sqlite(error))
}

/// Copies with VACUUM INTO on a second thread; this one watches the target grow, and reports.
fn copy(
    source: Connection,
    target: &Path,
    parameters: &str,
    total: u64,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(), Error> {
    let uri = uri(target) + parameters;
    let interrupt = source.get_interrupt_handle();
    let watcher = std::thread::current();
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let result = source
                .execute("VACUUM INTO ?1", [&uri])
                .map_err(ours_or_sqlite);
            drop(source);
            watcher.unpark();
            result
        });
        let mut stopped = false;
        while !worker.is_finished() {
            std::thread::park_timeout(PROGRESS_INTERVAL);
            let done = std::fs::metadata(target)
                .map_or(0, |metadata| metadata.len())
                .min(total);
            stopped = stopped || !progress(Progress { done, total });
            if stopped {
                // Again and again: an interrupt before the statement begins is lost.
                interrupt.interrupt();
            }
        }
        let panicked = |_| Error::Io {
            path: target.to_owned(),
            source: std::io::Error::other("the copying thread panicked"),
        };
        let result = worker.join().map_err(panicked)?;
        if stopped {
            Err(Error::Interrupted)
        } else {
            result.map(|_| ())
        }
    })
}

/// The SQLite URI of a path.
pub(crate) fn uri(path: &Path) -> String {
    use std::fmt::Write;
    // An empty authority, so that a path which begins with two slashes is none.
    let mut text = String::from(if path.is_absolute() {
        "file://"
    } else {
        "file:"
    });
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let written = write!(text, "%{byte:02x}");
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
    }
    text
}

/// Opens a plain database read-only; read-write if it must be recovered first.
fn open_plain(path: &Path) -> Result<Connection, Error> {
    check_path(path, false)?;
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) {
        return Err(not_sqlite(path));
    }
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let opened = open_with(path, flags | OpenFlags::SQLITE_OPEN_READ_ONLY)
        .or_else(|_| open_with(path, flags | OpenFlags::SQLITE_OPEN_READ_WRITE));
    opened.map_err(|error| match error {
        Error::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            not_sqlite(path)
        }
        error => error,
    })
}

/// Only for a file that is no database: to open one beside SQLite would cost its locks.
fn not_sqlite(path: &Path) -> Error {
    use std::io::Read;
    let mut start = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    Error::NotSqlite {
        path: path.to_owned(),
        sealed: read.is_ok() && start == MAGIC,
    }
}

fn open_plain_for_writing(path: &Path) -> Result<Connection, Error> {
    open_with(
        path,
        OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE,
    )
}

fn open_with(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(not_a_uri(path), flags)?;
    // What VACUUM needs besides the target would otherwise be spilled in plaintext.
    connection.execute_batch("PRAGMA temp_store=MEMORY")?;
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    Ok(connection)
}

/// Opens the sealed copy, whose keys are still registered.
fn open_made(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
    Connection::open_with_flags_and_vfs(path, flags, vfs::NAME).map_err(ours_or_sqlite)
}

fn restore_journal_mode(connection: &Connection, wal: bool) -> Result<(), Error> {
    if wal {
        let mode: String = pragma(connection, "journal_mode=WAL")?;
        debug_assert_eq!(mode, "wal");
    }
    Ok(())
}

/// Keys that are registered for a path as long as this lives.
struct Registration<'a>(&'a Path);

impl<'a> Registration<'a> {
    fn new(path: &'a Path, access: Access) -> Result<Self, Error> {
        vfs::register_keys(path, access)?;
        Ok(Self(path))
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        vfs::unregister_keys(self.0);
    }
}
