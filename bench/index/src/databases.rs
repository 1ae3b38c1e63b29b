//! A plain database and a sealed one, with the same settings.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rusqlite::Connection;
use tempfile::TempDir;
use zqlite::Builder;
use zqlite::pq::RawKey;
use zqlite::pq::header::{NewSlot, SlotKey};

const KEY: [u8; 32] = [7; 32];

/// Both, empty; they go with this.
pub(crate) struct Databases {
    pub(crate) plain: Connection,
    pub(crate) sealed: Connection,
    folder: TempDir,
}

impl Databases {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(".")?;
        let (plain, sealed) = open(folder.path())?;
        Ok(Self {
            plain,
            sealed,
            folder,
        })
    }

    /// Another connection to each.
    pub(crate) fn others(&self) -> Result<(Connection, Connection)> {
        open(self.folder.path())
    }

    /// The lengths of both files when their logs are empty.
    pub(crate) fn bytes(&self) -> Result<(u64, u64)> {
        for db in [&self.plain, &self.sealed] {
            checkpoint(db)?;
        }
        let [plain, sealed] = paths(self.folder.path()).map(std::fs::metadata);
        Ok((plain?.len(), sealed?.len()))
    }
}

/// Brings everything into the file.
pub(crate) fn checkpoint(db: &Connection) -> Result<()> {
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    ensure!(busy == 0, "a checkpoint was held up");
    Ok(())
}

fn paths(folder: &Path) -> [PathBuf; 2] {
    ["plain.db", "sealed.db"].map(|name| folder.join(name))
}

fn open(folder: &Path) -> Result<(Connection, Connection)> {
    let [plain, sealed] = paths(folder);
    let slot = NewSlot {
        key: SlotKey::RawKey(RawKey::from_bytes(KEY)),
        label: "bench".to_owned(),
    };
    let plain = Connection::open(plain)?;
    let sealed = Builder::new(sealed)
        .raw_key(RawKey::from_bytes(KEY))
        .create(vec![slot])
        .open()?;
    for db in [&plain, &sealed] {
        db.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-64000",
        )?;
        db.set_prepared_statement_cache_capacity(64);
    }
    for setting in [
        "journal_mode",
        "synchronous",
        "cache_size",
        "page_size",
        "wal_autocheckpoint",
        "secure_delete",
        "locking_mode",
    ] {
        let read = |db: &Connection| {
            db.pragma_query_value(None, setting, |row| row.get::<_, rusqlite::types::Value>(0))
        };
        let (of_plain, of_sealed) = (read(&plain)?, read(&sealed)?);
        ensure!(
            of_plain == of_sealed,
            "{setting}: {of_plain:?} and {of_sealed:?}"
        );
    }
    Ok((plain, sealed))
}
