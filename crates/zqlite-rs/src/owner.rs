//! What the owner of a file does to its header, while others read and write it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use zqlite_pq::SigningKey;
use zqlite_pq::header::{EpochSet, Expected, Header, Keyring, Opened, UpdateError};

use crate::Error;
use crate::builder::{check_path, open_sealed};
use crate::vfs::{self, Access, Code, with_sealed};

/// How long others are waited for unless something else is said.
const PATIENCE: Duration = Duration::from_secs(5);

/// With which keys an owner acts.
#[derive(Debug)]
#[non_exhaustive]
pub struct OwnerOptions {
    /// Keys that may open the file.
    pub keyring: Keyring,
    /// The expected maker; `None` accepts any.
    pub signed_by: Option<Expected>,
    /// The key that signs the header: needed if the file is signed. An unsigned file is signed from then on.
    pub signing_key: Option<SigningKey>,
    /// How long the write lock is waited for (5 seconds).
    pub patience: Duration,
}

impl OwnerOptions {
    /// Options with these keys: any maker, no signing key.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            signed_by: None,
            signing_key: None,
            patience: PATIENCE,
        }
    }
}

/// Why a change inside the write lock failed.
pub(crate) enum ChangeError {
    Code(Code),
    Update(UpdateError),
    Refused(String),
}

impl From<Code> for ChangeError {
    fn from(code: Code) -> Self {
        Self::Code(code)
    }
}

impl From<UpdateError> for ChangeError {
    fn from(error: UpdateError) -> Self {
        Self::Update(error)
    }
}

impl ChangeError {
    pub(crate) fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Code(code) => vfs::take_last_error().unwrap_or_else(|| code.at(&path)),
            Self::Update(UpdateError::DetailsAltered { number }) => Error::Damaged {
                path,
                what: UpdateError::DetailsAltered { number }.to_string(),
            },
            Self::Update(error) => Error::Update {
                path,
                what: error.to_string(),
            },
            Self::Refused(what) => Error::Update { path, what },
        }
    }
}

/// Opens a file whose header is to be changed.
pub(crate) fn open_owned(
    path: &Path,
    keyring: Keyring,
    signed_by: Option<Expected>,
    patience: Duration,
) -> Result<Connection, Error> {
    vfs::register()?;
    check_path(path, false)?;
    let access = match signed_by {
        Some(expected) => Access::new(keyring).signed_by(expected),
        None => Access::new(keyring).accept_any_maker(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open_sealed(path, flags, access)?;
    connection.busy_timeout(patience)?;
    Ok(connection)
}

/// Changes the header under the write lock; returns what `change` says beside it.
pub(crate) fn change_header<T>(
    connection: &mut Connection,
    path: &Path,
    change: impl FnOnce(&Opened) -> Result<((Header, EpochSet), T), ChangeError>,
) -> Result<T, Error> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(reason)?;
    debug_assert!(
        !transaction.is_autocommit(),
        "IMMEDIATE took the write lock"
    );
    let mut said = None;
    let changed = with_sealed(&transaction, |sealed, _| {
        Ok(sealed.update_header(|opened| {
            let (next, saying) = change(opened)?;
            said = Some(saying);
            Ok::<_, ChangeError>(next)
        }))
    });
    match changed {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(error.at(path)),
        Err(code) => return Err(code.at(path)),
    }
    transaction.rollback().map_err(reason)?;
    said.ok_or_else(|| Code::INTERNAL.at(path))
}

/// The reason of ours behind an SQLite error, if there is one.
pub(crate) fn reason(error: rusqlite::Error) -> Error {
    vfs::take_last_error().unwrap_or(Error::Sqlite(error))
}
