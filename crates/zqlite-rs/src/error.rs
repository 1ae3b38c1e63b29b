//! What can go wrong, and what that says about the file.

use std::path::PathBuf;
#[cfg(feature = "runtime")]
use std::sync::Arc;

mod kind;

pub use kind::ErrorKind;

#[cfg(feature = "rusqlite")]
use crate::migrations::MigrationError;

/// What an error says about the file: scripts and the command's exit status depend on nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// None of the following: a missing file, a full disk, an SQL error, a locked database.
    Other,
    /// No given key opens the file.
    NoKey,
    /// The file is altered or damaged.
    Damaged,
    /// A signature is missing, or not the expected one.
    Signature,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file exists, holds something, and is not a sealed database.
    #[error("{}: not a sealed database{}", path.display(), if *plain_sqlite { " but a plain SQLite one; seal it with `zqlite encrypt`" } else { "" })]
    NotSealed {
        /// The file.
        path: PathBuf,
        /// Whether it is a plain SQLite database.
        plain_sqlite: bool,
    },
    /// The file is not a plain SQLite database.
    #[error("{}: not a SQLite database{}", path.display(), if *sealed { ": it is sealed already" } else { "" })]
    NotSqlite {
        /// The file.
        path: PathBuf,
        /// Whether it is a sealed database.
        sealed: bool,
    },
    /// The file is empty, or its creation was never finished.
    #[error("{}: not a sealed database: the file is empty (with recipients, one can be created in it)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened: it does not exist, or may not be read.
    #[error("{}: cannot be opened; if it does not exist, give recipients to create it", path.display())]
    NotThere {
        /// The file.
        path: PathBuf,
    },
    /// The path does not name a regular file.
    #[error("{}: not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file was made by a later version.
    #[error("{}: format version {found} is not supported; update zqlite", path.display())]
    VersionUnsupported {
        /// The file.
        path: PathBuf,
        /// The version in its header.
        found: u16,
    },
    /// The file uses algorithms that this version does not know.
    #[error("{}: cipher suite {found} is not supported; update zqlite", path.display())]
    SuiteUnsupported {
        /// The file.
        path: PathBuf,
        /// The suite in its header.
        found: u16,
    },
    /// No slot belongs to any of the given keys.
    #[error("{}: no key opens it; it was sealed to other recipients, or the passphrase is wrong", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The file is altered or damaged.
    #[error("{}: altered or damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The file is not signed, and a signature was asked for.
    #[error("{}: not signed; do not trust it, or open it with accept_any_maker", path.display())]
    SignatureMissing {
        /// The file.
        path: PathBuf,
    },
    /// The file is signed by another key, for another file, or the signature does not verify.
    #[error("{}: {what}", path.display())]
    SignatureUnexpected {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// Nothing says who may have made the file.
    #[error(
        "{}: anyone can make a database for a known recipient: say `signed_by`, or `accept_any_maker` to open it regardless",
        path.display()
    )]
    MakerUnspecified {
        /// The file.
        path: PathBuf,
    },
    /// The header is older than the lowest generation that was asked for.
    #[error("{}: generation {found} is older than {minimum}: an old copy of the header", path.display())]
    GenerationTooOld {
        /// The file.
        path: PathBuf,
        /// The header's generation.
        found: u64,
        /// The lowest that was asked for.
        minimum: u64,
    },
    /// A key was given to a build that cannot use it.
    #[error(
        "this build of zqlite has no feature `pq`: it cannot use keys, and does not open files as plain when one is given"
    )]
    KeysUnsupported,
    /// A URI names keys in a way that cannot be followed.
    #[error("the URI's `{parameter}` {}", what)]
    Uri {
        /// Which parameter.
        parameter: &'static str,
        /// What is wrong with it; its value is not repeated, for it may be a secret in the wrong place.
        what: String,
    },
    /// The connection keeps its temporary files in plaintext, because its main database is not a sealed one.
    #[error(
        "{}: this connection writes temporary files in plaintext, because its main database is not sealed: execute `PRAGMA temp_store=MEMORY` first, or open the main database with `vfs=zqlite`",
        path.display()
    )]
    TemporaryFiles {
        /// The sealed file.
        path: PathBuf,
    },
    /// A sealed database cannot be made as asked.
    #[error("cannot create a sealed database: {0}")]
    Create(String),
    /// Who may open the file, or its key, cannot be changed as asked. The file is as it was.
    #[error("{}: {what}", path.display())]
    Update {
        /// The file.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// Another process is replacing the file's key.
    #[error("{}: another rekey of this file is running", path.display())]
    RekeyRuns {
        /// The file.
        path: PathBuf,
    },
    /// The caller's progress callback asked to stop a rekey, which can be continued.
    #[error("{}: stopped; the new key is in use, and older pages are still sealed under the old one: run rekey again to go on", path.display())]
    RekeyStopped {
        /// The file.
        path: PathBuf,
    },
    /// A state cannot be sealed: somebody is in the way, or there is nothing to seal.
    #[error("{}: cannot be sealed: {what}", path.display())]
    CannotSeal {
        /// The file.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// What is given as a seal, or as a proof, is none.
    #[error("{}: {what}", path.display())]
    BadSeal {
        /// The seal or proof.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file is not in the state that was sealed, or a proof does not belong to it.
    #[error("{}: not the sealed state: {what}", path.display())]
    NotSealedState {
        /// The file, or the proof.
        path: PathBuf,
        /// What differs, as far as a seal can tell.
        what: String,
    },
    /// The anchor has seen a newer header of this file.
    #[error(
        "{}: an old copy of the header: generation {found}, revision {found_revision}, and the anchor has seen {seen}, {seen_revision}",
        path.display()
    )]
    HeaderTooOld {
        /// The file.
        path: PathBuf,
        /// The header's generation.
        found: u64,
        /// The header's revision.
        found_revision: u64,
        /// The generation that was seen.
        seen: u64,
        /// The revision that was seen.
        seen_revision: u64,
    },
    /// The file's key was replaced, from beginning to end, while this connection was idle.
    #[error("{}: the file's key was replaced while this connection was open, and no signature says by whom: open it again", path.display())]
    KeyReplaced {
        /// The file.
        path: PathBuf,
    },
    /// The caller's progress callback asked to stop a backup, which can be continued.
    #[error("{}: stopped; the same backup goes on from here if it is started again", path.display())]
    BackupStopped {
        /// The backup that is not there yet.
        path: PathBuf,
    },
    /// Others kept the database busy for too long.
    #[error("{}: {what}", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What was waited for.
        what: &'static str,
    },
    /// The target exists and was not to be replaced.
    #[error("{}: exists already", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A column cannot be compressed, retrained or decompressed as asked. The database is as it was.
    #[cfg(feature = "compression")]
    #[error("{table}.{column}: {what}")]
    Column {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What is in the way.
        what: String,
    },
    /// SQLite refused.
    #[cfg(feature = "rusqlite")]
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The caller's progress callback asked to stop.
    #[error("interrupted; nothing was left behind")]
    Interrupted,
    /// An operation on a database failed: which, and on which file.
    #[error("{}: {doing}: {source}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: Box<Self>,
    },
    /// A closure returned an error of the application's own.
    #[error(transparent)]
    Application(Box<dyn core::error::Error + Send + Sync>),
    /// A closure panicked. What it wrote is rolled back.
    #[error("a closure panicked: {0}")]
    Panicked(String),
    /// What was waited for did not come in time. Nothing was written.
    #[error("{}: timed out: {what}", path.display())]
    TimedOut {
        /// The file.
        path: PathBuf,
        /// What was waited for.
        what: &'static str,
    },
    /// Whoever asked for the result has given it up. Nothing was written.
    #[error("{}: cancelled", path.display())]
    Cancelled {
        /// The file.
        path: PathBuf,
    },
    /// The database was closed.
    #[error("{}: closed", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
    /// As many closures wait for the writer as may.
    #[error("{}: {capacity} closures wait for the writer already", path.display())]
    QueueFull {
        /// The file.
        path: PathBuf,
        /// How many may wait.
        capacity: usize,
    },
    /// The transaction that this closure shared with others could not be committed. Nothing was written: the
    /// closure itself was in order, and can be tried again.
    #[cfg(feature = "runtime")]
    #[error("{}: the transaction was rolled back; try again: {source}", path.display())]
    BatchAborted {
        /// The file.
        path: PathBuf,
        /// Why it was rolled back.
        source: Arc<Self>,
    },
    /// The disk failed in a commit or a checkpoint, and nobody knows what it has kept: the writer refuses everything until
    /// the database is opened anew. Whether the closure that gets this is committed, only that shows.
    #[cfg(feature = "runtime")]
    #[error("{}: the disk failed, and may have kept the last commit or not; nothing is written until the database is opened again: {source}", path.display())]
    WriterFailed {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: Arc<Self>,
    },
    /// Readers keep the write-ahead log from being checkpointed.
    #[error("{}: the log cannot be checkpointed: {what}", path.display())]
    LogPinned {
        /// The file.
        path: PathBuf,
        /// Who reads it, as far as that is known.
        what: String,
    },
    /// The database cannot be brought to a version of its schema.
    #[cfg(feature = "rusqlite")]
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The measurements cannot be served.
    #[error("cannot serve measurements at {address}: {source}")]
    Exporter {
        /// Where.
        address: std::net::SocketAddr,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The program has given `metrics` a recorder of its own.
    #[error("this process has a recorder of measurements already, and cannot have another")]
    RecorderInstalled,
}

impl Error {
    /// What the error says about the file.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NoKey { .. } => Verdict::NoKey,
            Self::Damaged { .. }
            | Self::GenerationTooOld { .. }
            | Self::HeaderTooOld { .. }
            | Self::NotSealedState { .. }
            | Self::BadSeal { .. } => Verdict::Damaged,
            Self::SignatureMissing { .. } | Self::SignatureUnexpected { .. } => Verdict::Signature,
            #[cfg(feature = "rusqlite")]
            Self::Sqlite(error) => sqlite_verdict(error),
            Self::Failed { source, .. } => source.verdict(),
            #[cfg(feature = "rusqlite")]
            Self::Migration(MigrationError::Failed { source, .. }) => source.verdict(),
            #[cfg(feature = "runtime")]
            Self::BatchAborted { source, .. } | Self::WriterFailed { source, .. } => {
                source.verdict()
            }
            _ => Verdict::Other,
        }
    }
}

#[cfg(feature = "rusqlite")]
fn sqlite_verdict(error: &rusqlite::Error) -> Verdict {
    match error.sqlite_error().map(|e| e.extended_code) {
        Some(code) if is_damage(code) => Verdict::Damaged,
        _ => Verdict::Other,
    }
}

/// A page or WAL frame that does not open reaches SQL as `SQLITE_IOERR_DATA`; what follows from damage that
/// SQLite itself notices, as `SQLITE_CORRUPT` or `SQLITE_NOTADB`.
#[cfg(feature = "rusqlite")]
pub(crate) const fn is_damage(extended_code: core::ffi::c_int) -> bool {
    use libsqlite3_sys::{SQLITE_CORRUPT, SQLITE_IOERR_DATA, SQLITE_NOTADB};
    extended_code == SQLITE_IOERR_DATA
        || matches!(extended_code & 0xff, SQLITE_CORRUPT | SQLITE_NOTADB)
}
