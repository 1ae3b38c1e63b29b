//! The engines, and where their databases are.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::Connection;
use zqlite::Builder;
use zqlite::keys::{Identity, NewSlot, RawKey, SlotKey};

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// SQLite as it is, of the same build.
    Plain,
    /// The same SQLite over the VFS `zqlite`.
    Sealed,
    /// The same SQLite over the VFS `zqlite` of the loadable extension.
    Extension,
}

/// A database of an engine.
pub(crate) struct Database {
    engine: Engine,
    path: PathBuf,
}

impl Database {
    pub(crate) fn new(engine: Engine, folder: &Path, name: &str) -> Self {
        let suffix = match engine {
            Engine::Plain => "plain",
            Engine::Sealed => "sealed",
            Engine::Extension => "extension",
        };
        Self {
            engine,
            path: folder.join(format!("{name}.{suffix}")),
        }
    }

    /// Takes away what an earlier round left.
    pub(crate) fn anew(self) -> Result<Self> {
        self.remove()?;
        Ok(self)
    }

    pub(crate) fn remove(&self) -> Result<()> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("{}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Opens the database, or makes it.
    pub(crate) fn open(&self) -> Result<Connection> {
        Ok(match self.engine {
            Engine::Plain => Connection::open(&self.path)?,
            Engine::Sealed => Builder::new(&self.path)
                .raw_key(RawKey::from_bytes([7; 32]))
                .create(vec![NewSlot {
                    key: SlotKey::RawKey(RawKey::from_bytes([7; 32])),
                    label: String::new(),
                }])
                .open()?,
            Engine::Extension => self.open_through_the_extension()?,
        })
    }

    /// The extension was loaded when the process began. Keys come from a file.
    fn open_through_the_extension(&self) -> Result<Connection> {
        let identity = Identity::from_seed([7; 32]);
        let key = self.path.with_file_name("bench.identity");
        std::fs::write(&key, identity.to_text().as_bytes())?;
        let uri = format!(
            "file:{}?vfs=zqlite&identity={}&create_recipient={}&accept_any_maker=1",
            self.path.display(),
            key.display(),
            identity.recipient()
        );
        Ok(Connection::open(uri)?)
    }

    /// Reads the file once, so that the operating system has it in memory.
    pub(crate) fn warm(&self) -> Result<()> {
        let mut file = File::open(&self.path)
            .with_context(|| format!("{}: run the insert first", self.path.display()))?;
        let mut buffer = vec![0; 1 << 20];
        while file.read(&mut buffer)? > 0 {}
        Ok(())
    }
}

/// Loads the extension into this process's SQLite: it stays.
#[expect(unsafe_code, reason = "loading code is")]
pub(crate) fn load(extension: &Path) -> Result<()> {
    let connection = Connection::open_in_memory()?;
    // SAFETY: the caller names the library; its entry point is that of an extension.
    unsafe {
        connection.load_extension_enable()?;
        connection.load_extension(extension, None::<&str>)?;
    }
    Ok(())
}
