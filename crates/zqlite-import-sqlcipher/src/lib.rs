//! Seals what a SQLCipher 4 database holds into a new file of zqlite.
//!
//! SQLCipher's SQLite does the copying: the sealed file is its main database, through the VFS of zqlite, and the old one
//! is attached. What SQLite needs besides, it keeps in memory or in files that the VFS encrypts.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};
use zeroize::Zeroizing;
use zqlite::keys::{NewSlot, PageSize, SigningKey};
use zqlite::{Builder, Error};

/// What opens the old file.
pub enum OldKey {
    /// A passphrase, which SQLCipher stretches.
    Passphrase(Zeroizing<Vec<u8>>),
    /// A raw key, 32 bytes; the salt is that in the file.
    Raw(Zeroizing<[u8; 32]>),
}

impl core::fmt::Debug for OldKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("<redacted>")
    }
}

impl OldKey {
    /// As SQLCipher takes it.
    fn text(&self) -> Result<Zeroizing<String>, ImportError> {
        match self {
            Self::Passphrase(bytes) => core::str::from_utf8(bytes)
                .map(|text| Zeroizing::new(text.to_owned()))
                .map_err(|_| ImportError::NotText),
            Self::Raw(key) => {
                let mut text = Zeroizing::new(String::with_capacity(3 + 64));
                text.push_str("x'");
                for byte in key.iter() {
                    for nibble in [byte >> 4, byte & 15] {
                        text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
                    }
                }
                text.push('\'');
                Ok(text)
            }
        }
    }
}

/// How [`import`] makes the sealed file.
#[derive(Debug)]
pub struct ImportOptions {
    /// What opens the old file.
    pub key: OldKey,
    /// Who may open the new one.
    pub slots: Vec<NewSlot>,
    /// Who signs its header.
    pub signing_key: Option<SigningKey>,
    /// Its page size (4,096).
    pub page_size: PageSize,
    /// Replace an existing target.
    pub force: bool,
}

impl ImportOptions {
    /// Options with this key and these slots: unsigned, pages of 4,096 bytes.
    #[must_use]
    pub fn new(key: OldKey, slots: Vec<NewSlot>) -> Self {
        Self {
            key,
            slots,
            signing_key: None,
            page_size: PageSize::default(),
            force: false,
        }
    }
}

/// Why an import failed. The target is untouched then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// SQLCipher with its defaults does not read the file with that key.
    #[error("{}: the key does not open it, or it is no file of SQLCipher 4 with its default settings", .0.display())]
    NoKey(PathBuf),
    /// A passphrase that is no text.
    #[error("the passphrase is not UTF-8, which SQLCipher's SQL takes")]
    NotText,
    /// The SQLite that is linked is not SQLCipher's.
    #[error("this program was built without SQLCipher")]
    NotSqlCipher,
    /// The new file, or SQL.
    #[error(transparent)]
    Zqlite(#[from] Error),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl From<rusqlite::Error> for ImportError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Zqlite(zqlite::vfs::take_last_error().unwrap_or(Error::Sqlite(error)))
    }
}

/// Seals the database in a SQLCipher 4 file, with its WAL if it has one, into a new file.
///
/// Writes nothing to the old one. The new one appears under its name when it is complete.
///
/// # Errors
/// See [`ImportError`].
pub fn import(old: &Path, sealed: &Path, options: ImportOptions) -> Result<(), ImportError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ImportError::Io { path, source }
    };
    // Said here, where SQLite would make a new file.
    std::fs::metadata(old).map_err(io(old))?;
    if !options.force && std::fs::symlink_metadata(sealed).is_ok() {
        return Err(ImportError::Zqlite(Error::Exists {
            path: sealed.to_owned(),
        }));
    }
    let folder = match sealed.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let unfinished = tempfile::Builder::new()
        .prefix(".zqlite-import-")
        .tempfile_in(folder)
        .map_err(io(sealed))?;
    let mut builder = Builder::new(unfinished.path())
        .accept_any_maker()
        .allow_attach()
        .allow_schema_writes()
        .page_size(options.page_size)
        .create(options.slots);
    if let Some(key) = options.signing_key {
        builder = builder.sign_with(key);
    }
    let connection = builder.open()?;
    let copied = copy(&connection, old, &options.key);
    drop(connection);
    copied?;
    unfinished.as_file().sync_all().map_err(io(sealed))?;
    if options.force {
        // A WAL or journal of the file that is replaced says nothing about the new one.
        for suffix in ["-journal", "-wal", "-shm"] {
            let mut name = sealed.as_os_str().to_owned();
            name.push(suffix);
            match std::fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io(sealed)(error));
                }
                _ => {}
            }
        }
        unfinished
            .persist(sealed)
            .map_err(|error| io(sealed)(error.error))?;
    } else {
        unfinished
            .persist_noclobber(sealed)
            .map_err(|error| io(sealed)(error.error))?;
    }
    #[cfg(unix)]
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io(sealed))?;
    Ok(())
}

fn copy(connection: &Connection, old: &Path, key: &OldKey) -> Result<(), ImportError> {
    let version: Option<String> = connection
        .query_row("PRAGMA cipher_version", [], |row| row.get(0))
        .ok();
    if version.is_none() {
        return Err(ImportError::NotSqlCipher);
    }
    // The new file is thrown away unless it is complete.
    connection.execute_batch(
        "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF",
    )?;
    attach(connection, old, key)?;
    connection.query_row("SELECT sqlcipher_export('main', 'old')", [], |_| Ok(()))?;
    for name in ["application_id", "user_version"] {
        let value: i64 =
            connection.query_row(&format!("PRAGMA old.{name}"), [], |row| row.get(0))?;
        connection.execute_batch(&format!("PRAGMA main.{name}={value}"))?;
    }
    let mode: String = connection.query_row("PRAGMA old.journal_mode", [], |row| row.get(0))?;
    connection.execute_batch("DETACH old")?;
    if mode.eq_ignore_ascii_case("wal") {
        connection.query_row("PRAGMA main.journal_mode=WAL", [], |_| Ok(()))?;
    }
    Ok(())
}

/// Attaches the old file; the new one takes its encoding and its way of vacuuming.
fn attach(connection: &Connection, old: &Path, key: &OldKey) -> Result<(), ImportError> {
    let key = key.text()?;
    let uri = uri(old);
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        connection.execute_batch(&format!("PRAGMA main.encoding='{encoding}'"))?;
        let attached = connection.execute("ATTACH ?1 AS old KEY ?2", (&uri, key.as_str()));
        match attached {
            Ok(_) => {
                let vacuum: i64 =
                    connection.query_row("PRAGMA old.auto_vacuum", [], |row| row.get(0))?;
                connection.execute_batch(&format!("PRAGMA main.auto_vacuum={vacuum}"))?;
                return connection
                    .query_row("SELECT count(*) FROM old.sqlite_schema", [], |_| Ok(()))
                    .map_err(|error| no_key(error, old));
            }
            Err(error) if error.to_string().contains("text encoding") => {}
            Err(error) => return Err(no_key(error, old)),
        }
    }
    Err(ImportError::NoKey(old.to_owned()))
}

fn no_key(error: rusqlite::Error, old: &Path) -> ImportError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => ImportError::NoKey(old.to_owned()),
        _ => error.into(),
    }
}

/// The old file as SQLite's own VFS opens it, for reading.
fn uri(path: &Path) -> String {
    let mut text = String::from(if path.is_absolute() {
        "file://"
    } else {
        "file:"
    });
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02x}"));
        }
    }
    let vfs = if cfg!(windows) { "win32" } else { "unix" };
    text + "?mode=ro&vfs=" + vfs
}
