//! `sqlcipher`: SQLCipher 4 with its defaults and a raw key.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bench_work::{Engine, Opener};
use rusqlite::Connection;

/// 32 bytes: no passphrase is stretched.
const KEY: &str = "x'0707070707070707070707070707070707070707070707070707070707070707'";

struct SqlCipher;

fn main() -> Result<()> {
    bench_work::run(std::env::args_os(), |name, _| {
        ensure!(name == "sqlcipher", "there is no engine {name} here");
        Ok(Box::new(SqlCipher))
    })
}

impl Engine for SqlCipher {
    fn open(&self, path: &Path) -> Result<Connection> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "key", KEY)?;
        let version: String =
            connection.pragma_query_value(None, "cipher_version", |row| row.get(0))?;
        ensure!(version.starts_with("4."), "SQLCipher {version}");
        Ok(connection)
    }

    fn opener(&self, _: &Path, _: u32) -> Result<Opener> {
        bail!("SQLCipher knows no recipients")
    }

    fn group(&self, _: &Path, _: u32, _: RangeInclusive<u32>) -> Result<Vec<Duration>> {
        bail!("SQLCipher has no writer for many callers")
    }
}
