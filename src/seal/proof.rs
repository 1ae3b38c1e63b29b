//! The proof that a stored page belongs to a sealed state.

use crate::header::wire::{Reader, Writer};
use crate::header::{Expected, SUITE};
use crate::label;
use crate::page::PageSize;

use super::tree::{self, Hash, MAX_PATH_LEN};
use super::{
    DecodeError, Field, MAX_PAGES, ProofError, SEAL_VERSION, Seal, check_kind, page_size, too_short,
};

/// Length of what stands before the page.
const FIXED_LEN: usize = 64;

/// Length of a proof in bytes, at most.
pub const MAX_PROOF_LEN: usize = FIXED_LEN + 65_536 + 32 * MAX_PATH_LEN;

/// A page with its path to the root of a seal. It shows nothing until [`Proof::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    seal_hash: Hash,
    number: u32,
    page_size: PageSize,
    page: Vec<u8>,
    path: Vec<Hash>,
}

impl Proof {
    /// A proof for page `number` of a seal, from the stored page and its path. `None` if they do not lead to the
    /// seal's root.
    #[must_use]
    pub fn new(seal: &Seal, number: u32, page: Vec<u8>, path: Vec<Hash>) -> Option<Self> {
        let proof = Self {
            seal_hash: seal.hash(),
            number,
            page_size: seal.state().page_size,
            page,
            path,
        };
        proof.leads_to(seal).then_some(proof)
    }

    /// The page's number, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The page as it stands in the file: sealed.
    #[must_use]
    pub fn page(&self) -> &[u8] {
        &self.page
    }

    /// SHA-256 of the seal that it belongs to.
    #[must_use]
    pub const fn seal_hash(&self) -> &Hash {
        &self.seal_hash
    }

    /// The hashes beside the way from the leaf to the root.
    #[must_use]
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// Checks that the expected signer sealed a state with this page in this place.
    ///
    /// # Errors
    /// [`ProofError`] says whether the seal, or the proof, is not in order.
    pub fn check(&self, seal: &Seal, expected: &Expected) -> Result<(), ProofError> {
        seal.verify(expected)?;
        if self.seal_hash != seal.hash() {
            return Err(ProofError::OtherSeal);
        }
        if self.leads_to(seal) {
            Ok(())
        } else {
            Err(ProofError::NotInState)
        }
    }

    fn leads_to(&self, seal: &Seal) -> bool {
        let state = seal.state();
        if self.page_size != state.page_size || self.page.len() != self.page_size.to_usize() {
            return false;
        }
        let Some(index) = self.number.checked_sub(1) else {
            return false;
        };
        let leaf = tree::leaf(&state.file_id, self.number, &self.page);
        tree::root_of(index.into(), state.pages.into(), leaf, &self.path) == Some(state.root)
    }

    /// The bytes of a proof's file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(FIXED_LEN + self.page.len() + 32 * self.path.len());
        writer.bytes(&label::PROOF_MAGIC);
        writer.bytes(&SEAL_VERSION.to_be_bytes());
        writer.bytes(&SUITE.to_be_bytes());
        writer.bytes(&self.seal_hash);
        writer.bytes(&self.number.to_be_bytes());
        writer.bytes(&self.page_size.get().to_be_bytes());
        writer.count_u16(self.path.len());
        writer.zeros(2);
        writer.bytes(&self.page);
        for hash in &self.path {
            writer.bytes(hash);
        }
        writer.into_bytes()
    }

    /// Reads a proof. Refuses what [`Proof::encode`] would not have written (F-1).
    ///
    /// # Errors
    /// [`DecodeError`] names the field.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        check_kind(&mut reader, label::PROOF_MAGIC, DecodeError::NotAProof)?;
        let seal_hash = *reader.array().map_err(too_short)?;
        let number = reader.u32().map_err(too_short)?;
        if number == 0 || number > MAX_PAGES {
            return Err(DecodeError::Malformed(Field::PageNumber));
        }
        let page_size = page_size(&mut reader)?;
        let path_len = usize::from(reader.u16().map_err(too_short)?);
        if path_len > MAX_PATH_LEN {
            return Err(DecodeError::Malformed(Field::PathLength));
        }
        if reader.u16().map_err(too_short)? != 0 {
            return Err(DecodeError::Malformed(Field::Zero));
        }
        if reader.left() != page_size.to_usize() + 32 * path_len {
            return Err(DecodeError::Malformed(Field::Length));
        }
        let page = reader
            .slice(page_size.to_usize())
            .map_err(too_short)?
            .to_vec();
        let mut path = Vec::with_capacity(path_len);
        while reader.left() > 0 {
            path.push(*reader.array().map_err(too_short)?);
        }
        Ok(Self {
            seal_hash,
            number,
            page_size,
            page,
            path,
        })
    }
}
