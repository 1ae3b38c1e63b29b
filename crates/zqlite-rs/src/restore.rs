//! A backup is put in place, if it is what its signer sealed.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use zqlite_pq::header::Expected;
use zqlite_pq::seal::Seal;

use crate::builder::check_path;
use crate::seal::{unexpected, verify_seal};
use crate::target::Target;
use crate::vfs::{Code, KeylessFile, layout, read_stored};
use crate::{Error, Progress};

/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;
/// How long somebody who writes to the backup is waited for, and the pause before it is tried again.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// How [`restore`] works.
#[derive(Debug)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// The backup's seal.
    pub seal: Seal,
    /// Who must have signed it.
    pub signed_by: Expected,
    /// Replace an existing target, with what SQLite left beside it. Nobody may have it open.
    pub force: bool,
}

impl RestoreOptions {
    /// Options with this seal of this signer; an existing target is not replaced.
    #[must_use]
    pub const fn new(seal: Seal, signed_by: Expected) -> Self {
        Self {
            seal,
            signed_by,
            force: false,
        }
    }
}

/// Copies a backup into the place of a database, if every byte of it is what the expected signer sealed. Needs no key
/// that opens it.
///
/// What is checked is the copy, before it gets its name: changing the backup meanwhile gains nothing. A WAL or journal
/// beside the backup is not part of it.
///
/// # Errors
/// [`Error::SignatureUnexpected`] if the seal is not the expected signer's, [`Error::NotSealedState`] if the backup is not
/// what was sealed; see [`Error`] for the others. The target is untouched then.
pub fn restore(
    backup: &Path,
    sealed: &Path,
    options: RestoreOptions,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(), Error> {
    let RestoreOptions {
        seal,
        signed_by,
        force,
    } = options;
    seal.verify(&signed_by)
        .map_err(|error| unexpected(backup, &error))?;
    check_path(backup, false)?;
    if let (Ok(from), Ok(to)) = (backup.canonicalize(), sealed.canonicalize())
        && from == to
    {
        return Err(Error::Create(
            "the backup and what it is restored to must be two different files".to_owned(),
        ));
    }
    let target = Target::create(sealed, force)?;
    copy(backup, &seal, &target, progress)?;
    verify_seal(target.unfinished(), &seal, &signed_by, progress).map_err(|error| match error {
        Error::NotSealedState { what, .. } => Error::NotSealedState {
            path: backup.to_owned(),
            what,
        },
        error => error,
    })?;
    target.finish()
}

fn copy(
    backup: &Path,
    seal: &Seal,
    target: &Target,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(), Error> {
    let at = |code: Code| code.at(backup);
    // Not an ordinary open: this process may have SQLite's locks on the file.
    let file = KeylessFile::open(backup).map_err(at)?;
    let started = Instant::now();
    while let Err(code) = file.lock_shared() {
        if code != Code::BUSY || started.elapsed() >= PATIENCE {
            return Err(at(code));
        }
        std::thread::sleep(PAUSE);
    }
    let state = seal.state();
    let len = file.raw().len().map_err(at)?;
    let wanted = layout::physical_len(u64::from(state.pages) * u64::from(state.page_size.get()));
    if len != wanted {
        return Err(Error::NotSealedState {
            path: backup.to_owned(),
            what: format!("the file has {len} bytes, and the sealed state {wanted}"),
        });
    }
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    while offset < len {
        if !progress(Progress {
            done: offset / 2,
            total: len,
        }) {
            return Err(Error::Interrupted);
        }
        let present = usize::try_from(len - offset).unwrap_or(CHUNK).min(CHUNK);
        let piece = chunk.get_mut(..present).ok_or_else(|| at(Code::INTERNAL))?;
        read_stored(file.raw(), piece, offset).map_err(at)?;
        let mut written = target.file().ok_or_else(|| at(Code::INTERNAL))?;
        written.write_all(piece).map_err(|source| Error::Io {
            path: target.unfinished().to_owned(),
            source,
        })?;
        offset += present as u64;
    }
    Ok(())
}
