//! SQLite as it is.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use bench_work::{Engine, Opener};
use rusqlite::Connection;

pub(crate) struct Plain;

impl Engine for Plain {
    fn open(&self, path: &Path) -> Result<Connection> {
        Ok(Connection::open(path)?)
    }

    fn opener(&self, path: &Path, _slots: u32) -> Result<Opener> {
        self.open(path)?.execute_batch("CREATE TABLE t(a)")?;
        let path = path.to_owned();
        Ok(Box::new(move || Ok(Connection::open(&path)?)))
    }

    fn group(&self, _: &Path, _: u32, _: RangeInclusive<u32>) -> Result<Vec<Duration>> {
        bail!("SQLite has no writer for many callers")
    }
}
