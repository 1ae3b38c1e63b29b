//! A folder with one file whose keys are registered, and what stands on the disk there.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use zqlite::RekeyOptions;
use zqlite::keys::{Expected, Identity, Keyring, NewSlot, PageSize, SigningKey, SlotKey};
use zqlite::vfs::{self, Access};

/// What every client makes its rows in.
pub(crate) const SCHEMA: &str = "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT NOT NULL)";

/// A text that stands in rows, and must not stand in files.
pub(crate) const MARKER: &str = "the merger is on Thursday";

pub(crate) struct SealedFile {
    folder: TempDir,
    maker: Expected,
    /// The texts of the keys that open and sign it.
    identity: String,
    owner: String,
}

impl SealedFile {
    /// A path whose keys are registered: who opens it first creates it.
    pub(crate) fn registered() -> Self {
        let owner = SigningKey::generate(&mut zqlite::os_rng());
        let maker = Expected {
            key: owner.verifying_key().clone(),
            file_id: None,
        };
        let identity = Identity::generate(&mut zqlite::os_rng());
        let file = Self {
            folder: tempfile::tempdir().unwrap(),
            maker,
            identity: identity.to_text().to_string(),
            owner: owner.to_text().to_string(),
        };
        let slot = NewSlot {
            key: SlotKey::Recipient(identity.recipient()),
            label: "application".to_owned(),
        };
        let access = file
            .access(identity)
            .create(vec![slot], PageSize::default(), Some(owner));
        vfs::register().unwrap();
        vfs::register_keys(file.path().as_path(), access).unwrap();
        file
    }

    fn access(&self, identity: Identity) -> Access {
        let mut keyring = Keyring::new();
        keyring.add_identity(identity);
        Access::new(keyring).signed_by(self.maker.clone())
    }

    /// Gives the file a new key; others go on with it meanwhile. Returns the new epoch.
    pub(crate) fn rekey(&self, on_step: &mut dyn FnMut()) -> u32 {
        let mut keyring = Keyring::new();
        keyring.add_identity(Identity::parse(&self.identity).unwrap());
        let mut options = RekeyOptions::new(keyring);
        options.signed_by = Some(self.maker.clone());
        options.signing_key = Some(SigningKey::parse(&self.owner).unwrap());
        let done = zqlite::rekey(&self.path(), options, &mut |_| {
            on_step();
            true
        });
        done.unwrap().epoch
    }

    /// From now on the process has an identity for the path that opens nothing.
    pub(crate) fn register_stranger(&self) {
        let stranger = Identity::generate(&mut zqlite::os_rng());
        vfs::register_keys(&self.path(), self.access(stranger)).unwrap();
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    pub(crate) fn uri(&self) -> String {
        format!("file:{}?vfs=zqlite", self.path().display())
    }

    /// The rows, as plain rusqlite sees them.
    pub(crate) fn rows_by_rusqlite(&self) -> Vec<String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI;
        rows(&Connection::open_with_flags(self.uri(), flags).unwrap())
    }

    /// How many bytes stand in the file, and in its log; fails if the marker stands in one of them.
    pub(crate) fn assert_no_plaintext(&self) -> (usize, usize) {
        let wal = PathBuf::from(format!("{}-wal", self.path().display()));
        [self.path(), wal]
            .map(|path| {
                let content = bytes(&path);
                assert!(!holds_marker(&content), "{path:?}");
                content.len()
            })
            .into()
    }
}

impl Drop for SealedFile {
    fn drop(&mut self) {
        vfs::unregister_keys(&self.path());
    }
}

/// The rows of a connection.
pub(crate) fn rows(connection: &Connection) -> Vec<String> {
    connection
        .prepare("SELECT body FROM note ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(|body| body.unwrap())
        .collect()
}

pub(crate) fn holds_marker(content: &[u8]) -> bool {
    content
        .windows(MARKER.len())
        .any(|window| window == MARKER.as_bytes())
}

/// The content of a file that connections of this process may have open: read by another process, since closing
/// it here would drop SQLite's locks.
pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    let output = Command::new("cat").arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}
