//! What an error is about, for programs that decide what to do next.

use core::ffi::c_int;
use std::path::Path;
#[cfg(feature = "runtime")]
use std::sync::Arc;

#[cfg(feature = "rusqlite")]
use libsqlite3_sys as sys;

use super::Error;
#[cfg(feature = "rusqlite")]
use crate::migrations::MigrationError;

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another connection or process has locked the database (`SQLITE_BUSY`).
    Busy,
    /// Another statement of the same connection, or of its shared cache, is in the way (`SQLITE_LOCKED`).
    Locked,
    /// The file is altered or damaged.
    Corrupt,
    /// No given key opens the file.
    WrongKey,
    /// A signature is missing, or not the expected one.
    Signature,
    /// The disk, or a limit of the file's size, is full.
    DiskFull,
    /// The file, its file system or the connection is read-only.
    ReadOnly,
    /// Whoever waited for the result has given it up, or interrupted it.
    Cancelled,
    /// A deadline passed.
    TimedOut,
    /// A constraint of the schema was violated.
    Constraint,
    /// A transaction shared with others was rolled back, for a reason that is not this closure's.
    Aborted,
    /// The database is closed, or its writer refuses work until it is opened again.
    Closed,
    /// A limit of the program was reached: the queue is full, the log too long.
    Exhausted,
    /// A closure panicked.
    Panicked,
    /// The application's own error, returned by a closure.
    Application,
    /// The operating system failed to read, write or sync.
    Io,
    /// The authorizer denied a statement, or the operating system a file.
    Denied,
    /// None of these: an SQL error, a missing file, a wrong argument.
    Other,
}

impl Error {
    /// Wraps an error of the application's own, so that a closure can return it.
    pub fn application(error: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> Self {
        Self::Application(error.into())
    }

    /// What the error is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoKey { .. } => ErrorKind::WrongKey,
            Self::Damaged { .. }
            | Self::GenerationTooOld { .. }
            | Self::HeaderTooOld { .. }
            | Self::NotSealedState { .. }
            | Self::BadSeal { .. } => ErrorKind::Corrupt,
            Self::SignatureMissing { .. }
            | Self::SignatureUnexpected { .. }
            | Self::MakerUnspecified { .. } => ErrorKind::Signature,
            Self::Busy { .. } | Self::RekeyRuns { .. } => ErrorKind::Busy,
            Self::Interrupted
            | Self::Cancelled { .. }
            | Self::BackupStopped { .. }
            | Self::RekeyStopped { .. } => ErrorKind::Cancelled,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Closed { .. } | Self::KeyReplaced { .. } => ErrorKind::Closed,
            Self::QueueFull { .. } | Self::LogPinned { .. } => ErrorKind::Exhausted,
            Self::Panicked(_) => ErrorKind::Panicked,
            Self::Application(_) => ErrorKind::Application,
            Self::Io { source, .. } => io_kind(source),
            #[cfg(feature = "runtime")]
            Self::BatchAborted { .. } => ErrorKind::Aborted,
            #[cfg(feature = "runtime")]
            Self::WriterFailed { .. } => ErrorKind::Closed,
            Self::Failed { source, .. } => source.kind(),
            #[cfg(feature = "rusqlite")]
            Self::Migration(MigrationError::Failed { source, .. }) => source.kind(),
            #[cfg(feature = "rusqlite")]
            Self::Sqlite(error) => sqlite_kind(error),
            _ => ErrorKind::Other,
        }
    }

    /// Whether the same operation can succeed if it is tried again, without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::LogPinned { .. } | Self::QueueFull { .. } => true,
            Self::Failed { source, .. } => source.is_retryable(),
            _ => matches!(
                self.kind(),
                ErrorKind::Busy | ErrorKind::Locked | ErrorKind::TimedOut | ErrorKind::Aborted
            ),
        }
    }

    /// SQLite's extended result code, if SQLite reported the error: here, or at the beginning of the chain.
    #[must_use]
    pub fn extended_code(&self) -> Option<c_int> {
        match self {
            #[cfg(feature = "rusqlite")]
            Self::Sqlite(error) => error.sqlite_error().map(|error| error.extended_code),
            Self::Failed { source, .. } => source.extended_code(),
            #[cfg(feature = "rusqlite")]
            Self::Migration(MigrationError::Failed { source, .. }) => source.extended_code(),
            #[cfg(feature = "runtime")]
            Self::BatchAborted { source, .. } | Self::WriterFailed { source, .. } => {
                source.extended_code()
            }
            _ => None,
        }
    }

    /// The file that the error is about, if it names one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::NotSealed { path, .. }
            | Self::NotSqlite { path, .. }
            | Self::Empty { path }
            | Self::NotThere { path }
            | Self::NotAFile { path }
            | Self::VersionUnsupported { path, .. }
            | Self::SuiteUnsupported { path, .. }
            | Self::NoKey { path }
            | Self::Damaged { path, .. }
            | Self::SignatureMissing { path }
            | Self::SignatureUnexpected { path, .. }
            | Self::MakerUnspecified { path }
            | Self::GenerationTooOld { path, .. }
            | Self::TemporaryFiles { path }
            | Self::Update { path, .. }
            | Self::RekeyRuns { path }
            | Self::RekeyStopped { path }
            | Self::CannotSeal { path, .. }
            | Self::BadSeal { path, .. }
            | Self::NotSealedState { path, .. }
            | Self::HeaderTooOld { path, .. }
            | Self::KeyReplaced { path }
            | Self::BackupStopped { path }
            | Self::Busy { path, .. }
            | Self::Exists { path }
            | Self::Io { path, .. }
            | Self::Failed { path, .. }
            | Self::TimedOut { path, .. }
            | Self::Cancelled { path }
            | Self::Closed { path }
            | Self::QueueFull { path, .. }
            | Self::LogPinned { path, .. } => Some(path),
            #[cfg(feature = "runtime")]
            Self::BatchAborted { path, .. } | Self::WriterFailed { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The error as one of an operation on a file, unless it names a file already, or is the application's own.
    #[cfg(feature = "runtime")]
    pub(crate) fn at(self, path: &Path, doing: &'static str) -> Self {
        if self.path().is_some() || matches!(self, Self::Application(_) | Self::Panicked(_)) {
            return self;
        }
        Self::Failed {
            path: path.to_owned(),
            doing,
            source: Box::new(self),
        }
    }
}

#[cfg(feature = "runtime")]
impl Error {
    /// The same error once more, for somebody else, as far as it can be had twice.
    pub(crate) fn echo(&self) -> Self {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(code, text)) => {
                Self::Sqlite(rusqlite::Error::SqliteFailure(*code, text.clone()))
            }
            Self::Failed {
                path,
                doing,
                source,
            } => Self::Failed {
                path: path.clone(),
                doing,
                source: Box::new(source.echo()),
            },
            Self::TimedOut { path, what } => Self::TimedOut {
                path: path.clone(),
                what,
            },
            Self::Panicked(message) => Self::Panicked(message.clone()),
            Self::LogPinned { path, what } => Self::LogPinned {
                path: path.clone(),
                what: what.clone(),
            },
            Self::KeyReplaced { path } => Self::KeyReplaced { path: path.clone() },
            Self::NoKey { path } => Self::NoKey { path: path.clone() },
            Self::Damaged { path, what } => Self::Damaged {
                path: path.clone(),
                what: what.clone(),
            },
            Self::BatchAborted { path, source } => Self::BatchAborted {
                path: path.clone(),
                source: Arc::clone(source),
            },
            Self::WriterFailed { path, source } => Self::WriterFailed {
                path: path.clone(),
                source: Arc::clone(source),
            },
            other => Self::Application(other.to_string().into()),
        }
    }
}

fn io_kind(error: &std::io::Error) -> ErrorKind {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        std::io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        std::io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        _ => ErrorKind::Io,
    }
}

#[cfg(feature = "rusqlite")]
fn sqlite_kind(error: &rusqlite::Error) -> ErrorKind {
    let Some(code) = error.sqlite_error().map(|error| error.extended_code) else {
        return ErrorKind::Other;
    };
    if super::is_damage(code) {
        return ErrorKind::Corrupt;
    }
    match code & 0xff {
        sys::SQLITE_BUSY => ErrorKind::Busy,
        sys::SQLITE_LOCKED => ErrorKind::Locked,
        sys::SQLITE_FULL => ErrorKind::DiskFull,
        sys::SQLITE_READONLY => ErrorKind::ReadOnly,
        sys::SQLITE_INTERRUPT => ErrorKind::Cancelled,
        sys::SQLITE_CONSTRAINT => ErrorKind::Constraint,
        sys::SQLITE_AUTH => ErrorKind::Denied,
        sys::SQLITE_IOERR => ErrorKind::Io,
        _ => ErrorKind::Other,
    }
}
