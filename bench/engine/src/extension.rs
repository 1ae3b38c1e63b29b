//! The VFS `zqlite` of the loadable extension.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use bench_work::{Engine, Opener};
use rusqlite::Connection;
use zqlite::keys::Identity;

pub(crate) struct Extension(());

impl Extension {
    /// Loads the extension into this process's SQLite: it stays.
    #[expect(unsafe_code, reason = "loading code is")]
    pub(crate) fn load(extension: &Path) -> Result<Self> {
        let connection = Connection::open_in_memory()?;
        // SAFETY: the caller names the library; its entry point is that of an extension.
        unsafe {
            connection.load_extension_enable()?;
            connection.load_extension(extension, None::<&str>)?;
        }
        Ok(Self(()))
    }
}

impl Engine for Extension {
    /// Keys come from a file.
    fn open(&self, path: &Path) -> Result<Connection> {
        let identity = Identity::from_seed([7; 32]);
        let key = path.with_file_name("bench.identity");
        std::fs::write(&key, identity.to_text().as_bytes())?;
        let uri = format!(
            "file:{}?vfs=zqlite&identity={}&create_recipient={}&accept_any_maker=1",
            path.display(),
            key.display(),
            identity.recipient()
        );
        Ok(Connection::open(uri)?)
    }

    fn opener(&self, _: &Path, _: u32) -> Result<Opener> {
        bail!("opening through the extension is another matter")
    }

    fn group(&self, _: &Path, _: u32, _: RangeInclusive<u32>) -> Result<Vec<Duration>> {
        bail!("the extension has no writer for many callers")
    }
}
