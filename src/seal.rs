//! Signed states: which bytes a database had at one moment, and who says so (FORMAT.md section 17).
//!
//! A [`Seal`] is an ML-DSA-65 signature over the header's hash and the root of a Merkle tree over all stored pages
//! ([`tree`]). Whoever has the signer's public key can check a file against it without any key that decrypts. A
//! [`Proof`] shows that one stored page belongs to a sealed state.
//!
//! A tag of GCM commits to nothing for someone who knows the key; a seal commits the signer to these bytes.

use sha2::{Digest, Sha256};

use crate::epoch::FileId;
use crate::header::wire::{Reader, Writer};
use crate::header::{COPY_LEN, Expected, SUITE};
use crate::label;
use crate::mldsa::{
    SIGNATURE_LEN, SignError, Signature, SigningKey, VERIFYING_KEY_LEN, VerifyingKey,
};
use crate::page::PageSize;

mod error;
mod proof;
pub mod tree;

pub use error::{DecodeError, Field, ProofError, SealError};
pub use proof::{MAX_PROOF_LEN, Proof};
pub use tree::Hash;

/// Length of a seal in bytes.
pub const SEAL_LEN: usize = SIGNED_LEN + SIGNATURE_LEN;
/// The version of seals and proofs.
pub const SEAL_VERSION: u16 = 1;
/// Pages of a database, at most: SQLite's limit.
pub const MAX_PAGES: u32 = 4_294_967_294;

/// Length of what is signed.
const SIGNED_LEN: usize = 132 + VERIFYING_KEY_LEN;

const _: () = assert!(SIGNED_LEN == 16 + 2 + 2 + 16 + 4 + 4 + 8 + 8 + 32 + 32 + 8 + 1_952);
const _: () = assert!(SEAL_LEN == 5_393);

/// What a seal says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the fields of the format's version 1, compared one by one"
)]
pub struct State {
    /// The file's id.
    pub file_id: FileId,
    /// The size of its pages.
    pub page_size: PageSize,
    /// How many pages stand behind the header, from 1 to [`MAX_PAGES`].
    pub pages: u32,
    /// Generation of the header, from 1.
    pub generation: u64,
    /// Revision of the header, from 1.
    pub revision: u64,
    /// SHA-256 of a header copy; both copies are the same bytes.
    pub header_hash: Hash,
    /// Root of the tree over the stored pages.
    pub root: Hash,
}

/// A signed state. Decoded, it is a claim until [`Seal::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    state: State,
    time: u64,
    signer: VerifyingKey,
    signature: Signature,
}

impl Seal {
    /// Signs a state. `time` is in seconds since 1970, and no more than the signer's claim.
    ///
    /// # Errors
    /// [`SignError`] when the backend fails.
    ///
    /// # Panics
    /// If the state has no pages, or more than [`MAX_PAGES`], or a generation or revision of 0: no file has.
    pub fn sign(state: State, time: u64, key: &SigningKey) -> Result<Self, SignError> {
        assert!(
            (1..=MAX_PAGES).contains(&state.pages) && state.generation > 0 && state.revision > 0,
            "the state is that of a database with pages"
        );
        let signer = key.verifying_key().clone();
        let signature = key.sign(label::SEAL_SIGNATURE, &signed_bytes(&state, time, &signer))?;
        Ok(Self {
            state,
            time,
            signer,
            signature,
        })
    }

    /// What it says about the file.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// When it was made, in seconds since 1970, as the signer claims.
    #[must_use]
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// The key that it names as its signer's. It proves nothing; see [`Seal::verify`].
    #[must_use]
    pub const fn signer(&self) -> &VerifyingKey {
        &self.signer
    }

    /// SHA-256 of the encoded seal: what a proof names it by.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Sha256::digest(self.encode()).into()
    }

    /// The [`SEAL_LEN`] bytes of a seal's file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = signed_bytes(&self.state, self.time, &self.signer);
        bytes.extend_from_slice(self.signature.as_bytes());
        bytes
    }

    /// Reads a seal. Refuses what [`Seal::encode`] would not have written (F-1).
    ///
    /// # Errors
    /// [`DecodeError`] names the field.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        check_kind(&mut reader, label::SEAL_MAGIC, DecodeError::NotASeal)?;
        if bytes.len() != SEAL_LEN {
            return Err(DecodeError::Malformed(Field::Length));
        }
        let file_id = FileId::from_bytes(*reader.array().map_err(too_short)?);
        let page_size = page_size(&mut reader)?;
        let pages = reader.u32().map_err(too_short)?;
        let generation = reader.u64().map_err(too_short)?;
        let revision = reader.u64().map_err(too_short)?;
        let header_hash = *reader.array().map_err(too_short)?;
        let root = *reader.array().map_err(too_short)?;
        let time = reader.u64().map_err(too_short)?;
        let signer = VerifyingKey::from_bytes(reader.slice(VERIFYING_KEY_LEN).map_err(too_short)?)
            .map_err(|_| DecodeError::Malformed(Field::Length))?;
        let signature = Signature::from_bytes(reader.slice(SIGNATURE_LEN).map_err(too_short)?)
            .map_err(|_| DecodeError::Malformed(Field::Length))?;
        let malformed = |is_so: bool, field| {
            if is_so {
                Err(DecodeError::Malformed(field))
            } else {
                Ok(())
            }
        };
        malformed(pages == 0 || pages > MAX_PAGES, Field::Pages)?;
        malformed(generation == 0, Field::Generation)?;
        malformed(revision == 0, Field::Revision)?;
        Ok(Self {
            state: State {
                file_id,
                page_size,
                pages,
                generation,
                revision,
                header_hash,
                root,
            },
            time,
            signer,
            signature,
        })
    }

    /// Checks that the expected signer made this seal, for the expected file.
    ///
    /// # Errors
    /// [`SealError`] says what differs.
    pub fn verify(&self, expected: &Expected) -> Result<(), SealError> {
        if self.signer != expected.key {
            return Err(SealError::OtherKey);
        }
        if expected.file_id.is_some_and(|id| id != self.state.file_id) {
            return Err(SealError::OtherFile);
        }
        let signed = signed_bytes(&self.state, self.time, &self.signer);
        expected
            .key
            .verify(label::SEAL_SIGNATURE, &signed, &self.signature)
            .map_err(|_| SealError::Invalid)
    }
}

/// SHA-256 of a header copy.
///
/// # Panics
/// If it is not [`COPY_LEN`] bytes long.
#[must_use]
pub fn header_hash(copy: &[u8]) -> Hash {
    assert_eq!(copy.len(), COPY_LEN, "a header copy");
    Sha256::digest(copy).into()
}

fn signed_bytes(state: &State, time: u64, signer: &VerifyingKey) -> Vec<u8> {
    let mut writer = Writer::with_capacity(SEAL_LEN);
    writer.bytes(&label::SEAL_MAGIC);
    writer.bytes(&SEAL_VERSION.to_be_bytes());
    writer.bytes(&SUITE.to_be_bytes());
    writer.bytes(state.file_id.as_bytes());
    writer.bytes(&state.page_size.get().to_be_bytes());
    writer.bytes(&state.pages.to_be_bytes());
    writer.bytes(&state.generation.to_be_bytes());
    writer.bytes(&state.revision.to_be_bytes());
    writer.bytes(&state.header_hash);
    writer.bytes(&state.root);
    writer.bytes(&time.to_be_bytes());
    writer.bytes(signer.as_bytes());
    writer.into_bytes()
}

/// Magic, version and suite, which seals and proofs begin with.
fn check_kind(
    reader: &mut Reader<'_>,
    magic: [u8; 16],
    other: DecodeError,
) -> Result<(), DecodeError> {
    if reader.array::<16>().map_err(|_| other)? != &magic {
        return Err(other);
    }
    let version = reader.u16().map_err(too_short)?;
    if version != SEAL_VERSION {
        return Err(DecodeError::VersionUnsupported { found: version });
    }
    let suite = reader.u16().map_err(too_short)?;
    if suite != SUITE {
        return Err(DecodeError::SuiteUnsupported { found: suite });
    }
    Ok(())
}

fn page_size(reader: &mut Reader<'_>) -> Result<PageSize, DecodeError> {
    PageSize::new(reader.u32().map_err(too_short)?)
        .map_err(|_| DecodeError::Malformed(Field::PageSize))
}

/// The reader fails for one reason only.
const fn too_short(_: crate::header::DecodeError) -> DecodeError {
    DecodeError::Malformed(Field::Length)
}
