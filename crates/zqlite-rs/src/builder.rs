//! The builder: a path, keys and guards become a keyed `rusqlite::Connection`.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags};

use crate::Error;
use crate::keys::{Expected, Identity, Keyring, NewSlot, PageSize, Passphrase, RawKey, SigningKey};

#[cfg(not(feature = "pq"))]
mod plain;
#[cfg(feature = "pq")]
mod sealed;

#[cfg(not(feature = "pq"))]
use plain::Keys;
#[cfg(feature = "pq")]
use sealed::Keys;
#[cfg(feature = "pq")]
pub(crate) use sealed::open_sealed;

/// Opens or creates a sealed database.
///
/// The connection that comes out is guarded: DEFENSIVE is on, `trusted_schema` is off, ATTACH (with
/// VACUUM INTO, which can write plaintext) and `load_extension` are denied. A program that sets an
/// authorizer of its own replaces that denial.
///
/// With feature `indexes` it knows those virtual tables, and `recursive_triggers` is on.
///
/// Without feature `pq` it opens and creates plain databases, with the same guards, and refuses if it was
/// given any key.
#[derive(Debug)]
pub struct Builder {
    path: PathBuf,
    keyring: Keyring,
    maker: MakerRule,
    read_only: bool,
    allow_attach: bool,
    allow_schema_writes: bool,
    /// `Some`: create the file, with these slots.
    create: Option<Vec<NewSlot>>,
    page_size: PageSize,
    cache_size: Option<u32>,
    signing_key: Option<SigningKey>,
    #[cfg(feature = "pq")]
    anchor: Option<std::sync::Arc<dyn crate::Anchor>>,
}

#[derive(Debug)]
enum MakerRule {
    Unspecified,
    SignedBy(Expected),
    Any,
}

impl Builder {
    /// Starts with a path. Nothing is opened yet.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            keyring: Keyring::new(),
            maker: MakerRule::Unspecified,
            read_only: false,
            allow_attach: false,
            allow_schema_writes: false,
            create: None,
            page_size: PageSize::default(),
            cache_size: None,
            signing_key: None,
            #[cfg(feature = "pq")]
            anchor: None,
        }
    }

    /// Adds an identity that may open the file.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.keyring.add_identity(identity);
        self
    }

    /// Adds a passphrase that may open the file.
    #[must_use]
    pub fn passphrase(mut self, passphrase: Passphrase) -> Self {
        self.keyring.add_passphrase(passphrase);
        self
    }

    /// Adds a raw 32-byte key that may open the file.
    #[must_use]
    pub fn raw_key(mut self, key: RawKey) -> Self {
        self.keyring.add_raw_key(key);
        self
    }

    /// Opens with the keys of this keyring, instead of those added before.
    #[must_use]
    pub fn keyring(mut self, keyring: Keyring) -> Self {
        self.keyring = keyring;
        self
    }

    /// Opens the file only if its header is signed as expected.
    #[must_use]
    pub fn signed_by(mut self, expected: Expected) -> Self {
        self.maker = MakerRule::SignedBy(expected);
        self
    }

    /// Opens the file whoever made it.
    ///
    /// Anyone can make a database for a known recipient, put it in the place of yours, and read what your
    /// program then writes into it.
    #[must_use]
    pub fn accept_any_maker(mut self) -> Self {
        self.maker = MakerRule::Any;
        self
    }

    /// Opens the file only if its header is not older than the last one that the anchor has seen.
    #[cfg(feature = "pq")]
    #[must_use]
    pub fn anchor(mut self, anchor: std::sync::Arc<dyn crate::Anchor>) -> Self {
        self.anchor = Some(anchor);
        self
    }

    /// Opens read-only.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Creates the file if it does not exist or is empty, with these slots: at least one.
    #[must_use]
    pub fn create(mut self, slots: Vec<NewSlot>) -> Self {
        self.create = Some(slots);
        self
    }

    /// Page size of a file that is created (default 4,096).
    #[must_use]
    pub const fn page_size(mut self, size: PageSize) -> Self {
        self.page_size = size;
        self
    }

    /// How many KiB of opened pages each connection keeps at most, beside those in SQLite's own cache (`PRAGMA cache_size`,
    /// 2,000 KiB unless set).
    ///
    /// Otherwise each keeps up to 4 MiB, and beyond that what is left of a budget that all connections of the process share: an
    /// eighth of the memory that it may use, at least 64 MiB where that is no more than a quarter, and at most 1 GiB (on
    /// Linux; elsewhere 64 MiB). Whoever sets
    /// `PRAGMA cache_size` limits these, too: to the same size, but at least 4 MiB. Pages that are read in a row are not
    /// kept. Memory is taken as pages come, and given back when the connection is closed. Without feature `pq` this has no
    /// effect.
    #[must_use]
    pub const fn cache_size(mut self, kibibytes: u32) -> Self {
        self.cache_size = Some(kibibytes);
        self
    }

    /// Signs the header of a file that is created.
    #[must_use]
    pub fn sign_with(mut self, key: SigningKey) -> Self {
        self.signing_key = Some(key);
        self
    }

    /// Permits ATTACH, and with it VACUUM INTO, which can write plaintext. File names may then be URIs.
    #[must_use]
    pub const fn allow_attach(mut self) -> Self {
        self.allow_attach = true;
        self
    }

    /// Leaves DEFENSIVE off, so that SQL may write the schema table: dumps with virtual tables need it.
    #[must_use]
    pub const fn allow_schema_writes(mut self) -> Self {
        self.allow_schema_writes = true;
        self
    }

    /// Opens the connection.
    ///
    /// # Errors
    /// See [`Error`]. What a damaged page means shows only when it is read.
    pub fn open(self) -> Result<Connection, Error> {
        self.opener()?.connect()
    }

    /// What opens any number of connections to the same file.
    pub(crate) fn opener(self) -> Result<Opener, Error> {
        let creates = self.create.is_some() && !self.read_only;
        check_path(&self.path, creates)?;
        let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags |= if self.read_only {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        };
        if creates {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        if self.allow_attach {
            flags |= OpenFlags::SQLITE_OPEN_URI;
        }
        let path = self.path.clone();
        let allow_attach = self.allow_attach;
        let defensive = !self.allow_schema_writes;
        let keys = self.keys(creates)?;
        Ok(Opener {
            path,
            flags,
            allow_attach,
            defensive,
            keys,
        })
    }

    #[cfg(not(feature = "pq"))]
    fn keys(self, _creates: bool) -> Result<Keys, Error> {
        let keys_given = !self.keyring.is_empty()
            || matches!(self.maker, MakerRule::SignedBy(_))
            || self.create.as_ref().is_some_and(|slots| !slots.is_empty())
            || self.signing_key.is_some();
        if keys_given {
            return Err(Error::KeysUnsupported);
        }
        Ok(Keys {
            page_size: self.create.is_some().then_some(self.page_size),
        })
    }
}

/// Opens connections to one file, with the same keys and guards.
pub(crate) struct Opener {
    path: PathBuf,
    flags: OpenFlags,
    allow_attach: bool,
    defensive: bool,
    keys: Keys,
}

impl Opener {
    #[cfg(feature = "runtime")]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(feature = "runtime")]
    pub(crate) const fn is_read_only(&self) -> bool {
        self.flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    pub(crate) fn connect(&self) -> Result<Connection, Error> {
        let allow_attach = self.allow_attach;
        self.connect_with(move |context| authorize(context, allow_attach))
    }

    /// Opens a connection with more rules than the builder's.
    #[cfg(feature = "runtime")]
    pub(crate) fn connect_guarded(
        &self,
        mut rule: impl FnMut(&AuthContext<'_>) -> Authorization + Send + 'static,
    ) -> Result<Connection, Error> {
        let allow_attach = self.allow_attach;
        self.connect_with(move |context| match authorize(context, allow_attach) {
            Authorization::Allow => rule(context),
            denied => denied,
        })
    }

    fn harden(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, self.defensive)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        Ok(())
    }

    /// Undoes what a closure may have changed of the connection's settings, for the next one.
    #[cfg(feature = "runtime")]
    pub(crate) fn reassert(&self, connection: &Connection) {
        // It fails for no setting that this SQLite has.
        drop(self.harden(connection));
        drop(connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true));
    }

    fn connect_with(
        &self,
        mut rule: impl FnMut(&AuthContext<'_>) -> Authorization + Send + 'static,
    ) -> Result<Connection, Error> {
        let mut connection = self.keys.connect(&self.path, self.flags)?;
        // Some versions of rusqlite want it mutable for an authorizer, others do not.
        let guarded = &mut connection;
        self.harden(guarded)?;
        #[cfg(feature = "compression")]
        crate::compression::register(guarded)?;
        #[cfg(feature = "indexes")]
        crate::index::register(guarded)?;
        guarded.authorizer(Some(move |context: AuthContext<'_>| rule(&context)))?;
        Ok(connection)
    }
}

/// A path that looks like a URI is none.
pub(crate) fn not_a_uri(path: &Path) -> PathBuf {
    if path.as_os_str().as_encoded_bytes().starts_with(b"file:") {
        Path::new(".").join(path)
    } else {
        path.to_owned()
    }
}

/// Says in words what SQLite would say with a code.
pub(crate) fn check_path(path: &Path, creates: bool) -> Result<(), Error> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(Error::NotAFile {
            path: path.to_owned(),
        }),
        Ok(_) => Ok(()),
        Err(error) if creates && error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// VACUUM attaches a nameless file: that stays encrypted, and is let through.
fn authorize(context: &AuthContext<'_>, allow_attach: bool) -> Authorization {
    match context.action {
        AuthAction::Attach { filename } if !allow_attach && !filename.is_empty() => {
            Authorization::Deny
        }
        // A file name that is computed or bound reaches the authorizer as null.
        AuthAction::Unknown {
            code: rusqlite::ffi::SQLITE_ATTACH,
            ..
        } if !allow_attach => Authorization::Deny,
        AuthAction::Function { function_name }
            if function_name.eq_ignore_ascii_case("load_extension") =>
        {
            Authorization::Deny
        }
        _ => Authorization::Allow,
    }
}
