//! Signed states of whole databases: made with a key of the file and a signing key, checked with neither (FORMAT.md
//! section 17).

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zqlite_pq::SigningKey;
use zqlite_pq::header::{Expected, Keyring};
use zqlite_pq::seal::{self as pq, MAX_PROOF_LEN, Proof, SEAL_LEN, Seal};

use crate::target::Target;
use crate::{Error, Progress};

mod check;
mod leaves;
mod make;

pub use check::{prove, verify_seal};
pub use make::seal;
pub(crate) use make::seal_open;

/// How long others are waited for unless something else is said.
const PATIENCE: Duration = Duration::from_secs(5);

/// How [`seal`] seals a state.
#[derive(Debug)]
#[non_exhaustive]
pub struct SealOptions {
    /// Keys that may open the file.
    pub keyring: Keyring,
    /// The expected maker of the file; `None` accepts any.
    pub signed_by: Option<Expected>,
    /// The key that signs the seal. It need not be the one that signed the file's header.
    pub signing_key: SigningKey,
    /// What the seal says of its time, in seconds since 1970: now, unless something else is said.
    pub time: u64,
    /// How long writers, readers of the log and checkpoints are waited for, in all (5 seconds).
    pub patience: Duration,
}

impl SealOptions {
    /// Options with these keys, any maker, and the time of the system's clock.
    #[must_use]
    pub fn new(keyring: Keyring, signing_key: SigningKey) -> Self {
        Self {
            keyring,
            signed_by: None,
            signing_key,
            time: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            patience: PATIENCE,
        }
    }
}

/// Seals a state as [`seal`] does, into a file of its own that appears when it is complete (mode 0600).
///
/// # Errors
/// As [`seal`]; [`Error::Exists`] if there is such a file and it is not to be replaced.
pub fn seal_to(
    path: &Path,
    target: &Path,
    force: bool,
    options: SealOptions,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Seal, Error> {
    refuse_other_file(path, target, SEAL_LEN)?;
    // Before anything is hashed: that takes a while.
    let unfinished = Target::create(target, force)?;
    let seal = seal(path, options, progress)?;
    finish(unfinished, target, &seal.encode())?;
    Ok(seal)
}

/// Writes a proof into a file of its own that appears when it is complete (mode 0600).
///
/// # Errors
/// As [`prove`]; [`Error::Exists`] if there is such a file and it is not to be replaced.
pub fn prove_to(
    path: &Path,
    target: &Path,
    force: bool,
    seal: &Seal,
    number: u32,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Proof, Error> {
    refuse_other_file(path, target, MAX_PROOF_LEN)?;
    let unfinished = Target::create(target, force)?;
    let proof = prove(path, seal, number, progress)?;
    finish(unfinished, target, &proof.encode())?;
    Ok(proof)
}

/// Reads the file of a seal.
///
/// # Errors
/// [`Error::BadSeal`] if it is none; [`Error::Io`].
pub fn read_seal(path: &Path) -> Result<Seal, Error> {
    let bytes = read_at_most(path, SEAL_LEN)?;
    Seal::decode(&bytes).map_err(|error| bad_seal(path, &error))
}

/// Reads the file of a proof.
///
/// # Errors
/// [`Error::BadSeal`] if it is none; [`Error::Io`].
pub fn read_proof(path: &Path) -> Result<Proof, Error> {
    let bytes = read_at_most(path, MAX_PROOF_LEN)?;
    Proof::decode(&bytes).map_err(|error| bad_seal(path, &error))
}

/// Checks that the expected signer sealed a state with the proof's page in its place. `path` names the proof in errors.
///
/// # Errors
/// [`Error::SignatureUnexpected`] if the seal is not the expected signer's, [`Error::NotSealedState`] if the proof does
/// not belong to it.
pub fn check_proof(
    path: &Path,
    proof: &Proof,
    seal: &Seal,
    expected: &Expected,
) -> Result<(), Error> {
    proof.check(seal, expected).map_err(|error| match error {
        pq::ProofError::Seal(error) => unexpected(path, &error),
        other => Error::NotSealedState {
            path: path.to_owned(),
            what: other.to_string(),
        },
    })
}

/// At most one byte more than the longest of its kind: what is longer is no such file.
fn read_at_most(path: &Path, len: usize) -> Result<Vec<u8>, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::with_capacity(len + 1);
    let metadata = std::fs::metadata(path).map_err(io)?;
    // A pipe would keep us waiting.
    if !metadata.is_file() {
        return Err(Error::NotAFile {
            path: path.to_owned(),
        });
    }
    // A database is never opened here: its POSIX locks would be lost when it is closed.
    if metadata.len() <= len as u64 {
        std::fs::File::open(path)
            .and_then(|file| file.take(len as u64 + 1).read_to_end(&mut bytes))
            .map_err(io)?;
        Ok(bytes)
    } else {
        Err(Error::BadSeal {
            path: path.to_owned(),
            what: "too long for what it ought to be".to_owned(),
        })
    }
}

pub(crate) fn finish(unfinished: Target, target: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .open(unfinished.unfinished())
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|source| Error::Io {
        path: target.to_owned(),
        source,
    })?;
    unfinished.finish()
}

/// What is replaced was a seal or a proof, to judge by its length: a database is never overwritten with its own seal, nor
/// another with it.
fn refuse_other_file(database: &Path, target: &Path, max_len: usize) -> Result<(), Error> {
    let refused = |what: &str| {
        Err(Error::CannotSeal {
            path: target.to_owned(),
            what: what.to_owned(),
        })
    };
    match (database.canonicalize(), target.canonicalize()) {
        (Ok(database), Ok(target)) if database == target => {
            return refused("this is the database itself");
        }
        _ => {}
    }
    match std::fs::metadata(target) {
        Ok(metadata) if metadata.is_file() && metadata.len() > max_len as u64 => {
            refused("there is a file of this name that is too long to be what would replace it")
        }
        _ => Ok(()),
    }
}

fn bad_seal(path: &Path, error: &pq::DecodeError) -> Error {
    Error::BadSeal {
        path: path.to_owned(),
        what: error.to_string(),
    }
}

pub(crate) fn unexpected(path: &Path, error: &pq::SealError) -> Error {
    Error::SignatureUnexpected {
        path: path.to_owned(),
        what: error.to_string(),
    }
}
