//! The header: who may open a file, under which epoch keys, and who says so (FORMAT.md sections 5 to 8).
//!
//! Two copies of [`COPY_LEN`] bytes stand at the beginning of a file. [`open`] reads both, takes the
//! newest that authenticates, and says in which state the other one is.

use hmac::Mac;
use subtle::ConstantTimeEq;

use crate::epoch::{EpochKeys, FileId, same_mac};
use crate::mldsa::{Signature, VerifyingKey};
use crate::page::PageSize;
use crate::secret::{STACK_OF_A_DERIVATION, wiping_the_stack};
use crate::slot::Slot;
use crate::{OpenError, label};

mod codec;
mod create;
mod decode_error;
mod epochs;
mod inspect;
mod keyring;
mod open;
mod opened;
mod signature;
mod succession;
#[cfg(test)]
pub(crate) mod tests;
mod update;
pub(crate) mod wire;

pub use codec::{Stamp, stamp};
pub use create::{CreateError, NewHeader, NewSlot, SlotKey};
pub use decode_error::{DecodeError, Field};
pub use epochs::{EpochSet, OlderEpoch};
pub use inspect::{Inspection, SignatureState, inspect};
pub use keyring::Keyring;
pub use open::{open, open_signed, reopen, reopen_signed};
pub use opened::{CopyState, HeaderOpenError, Opened};
pub use signature::{Expected, SignatureError};
use succession::Predecessor;
pub use update::UpdateError;

/// Length of a header copy in bytes.
pub const COPY_LEN: usize = 65_536;
/// Length of both copies: where SQLite's pages begin.
pub const HEADER_LEN: u64 = 131_072;
/// Length of a copy's prefix in bytes.
pub const PREFIX_LEN: usize = 128;
/// Length of what [`stamp`] reads of a copy, in bytes.
pub const STAMP_LEN: usize = codec::STAMP_LEN;
/// Length of a copy's MAC in bytes.
pub const MAC_LEN: usize = 32;
/// Slots in a header, at most.
pub const MAX_SLOTS: usize = 22;
/// Passphrase slots in a header, at most: each costs whoever tries it an Argon2id.
pub const MAX_PASSPHRASE_SLOTS: usize = 4;
/// Older epochs in a header, at most.
pub const MAX_OLDER_EPOCHS: usize = 16;
/// The format version.
pub const VERSION: u16 = 1;
/// The algorithm suite.
pub const SUITE: u16 = 1;

/// A header, decoded. It is authentic only if it comes from [`open`], [`reopen`] or
/// [`NewHeader::create`]; one from [`Header::decode`] is a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    file_id: FileId,
    page_size: PageSize,
    generation: u64,
    revision: u64,
    populated: bool,
    epoch: u32,
    commitment: [u8; 32],
    min_epoch: u32,
    rekey_next_page: u32,
    slots: Vec<Slot>,
    signer: Option<Signer>,
    older: Vec<OlderEpoch>,
    predecessors: Vec<Predecessor>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signer {
    key: VerifyingKey,
    signature: Signature,
}

/// An update that would overflow the revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header's revision would overflow")]
pub struct Overflow;

impl Header {
    /// The file's id.
    #[must_use]
    pub const fn file_id(&self) -> &FileId {
        &self.file_id
    }

    /// The size of the file's pages.
    #[must_use]
    pub const fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// 1 in a new file, raised by every act of the owner.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// 1 in a new file, raised by every update of the header.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Generation and revision.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        Stamp {
            generation: self.generation,
            revision: self.revision,
        }
    }

    /// The newest epoch, under which pages are written.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The commitment to the newest epoch's key.
    #[must_use]
    pub const fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// The least epoch whose pages are accepted.
    #[must_use]
    pub const fn min_epoch(&self) -> u32 {
        self.min_epoch
    }

    /// The next page that a running rekey will re-encrypt; 0 if none runs.
    #[must_use]
    pub const fn rekey_next_page(&self) -> u32 {
        self.rekey_next_page
    }

    /// Whether pages were ever committed (F-10).
    #[must_use]
    pub const fn populated(&self) -> bool {
        self.populated
    }

    /// The slots, 1 to 22.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The key that the header names as its signer's. It proves nothing; see
    /// [`Header::check_signature`].
    #[must_use]
    pub fn signer(&self) -> Option<&VerifyingKey> {
        self.signer.as_ref().map(|signer| &signer.key)
    }

    /// Epochs before the newest that are still in use, newest first.
    #[must_use]
    pub fn older_epochs(&self) -> &[OlderEpoch] {
        &self.older
    }

    /// Records that pages were committed. The caller raises the revision and writes both copies.
    pub const fn set_populated(&mut self) {
        self.populated = true;
    }

    /// Raises the revision, as every update must.
    ///
    /// # Errors
    /// [`Overflow`] at the last revision; the header is then as it was.
    pub fn next_revision(&mut self) -> Result<(), Overflow> {
        self.revision = self.revision.checked_add(1).ok_or(Overflow)?;
        Ok(())
    }

    /// Writes a copy of [`COPY_LEN`] bytes, with its MAC (F-8).
    ///
    /// # Panics
    /// If `keys` are not those of this header's newest epoch: nobody could open the copy.
    #[must_use]
    pub fn encode(&self, keys: &EpochKeys) -> Vec<u8> {
        assert!(
            self.is_committed_to(keys),
            "the keys are those of the header's newest epoch"
        );
        let mut copy = self.authenticated_bytes();
        let mac = mac(&copy, keys);
        copy.extend_from_slice(&mac);
        copy
    }

    /// Whether `keys` are those of the newest epoch (F-6), in constant time.
    fn is_committed_to(&self, keys: &EpochKeys) -> bool {
        keys.epoch() == self.epoch && bool::from(keys.commitment().ct_eq(&self.commitment))
    }
}

/// Checks the MAC of a copy's raw bytes (F-8), in constant time.
///
/// # Errors
/// [`OpenError`] when it does not fit, or the copy is not [`COPY_LEN`] bytes long.
pub fn verify_mac(copy: &[u8], keys: &EpochKeys) -> Result<(), OpenError> {
    if copy.len() != COPY_LEN {
        return Err(OpenError);
    }
    let (covered, found) = copy.split_last_chunk::<MAC_LEN>().ok_or(OpenError)?;
    if same_mac(&mac(covered, keys), found) {
        Ok(())
    } else {
        Err(OpenError)
    }
}

fn mac(covered: &[u8], keys: &EpochKeys) -> [u8; MAC_LEN] {
    wiping_the_stack::<STACK_OF_A_DERIVATION, _>(|| {
        let mut mac = keys.header_mac();
        mac.update(label::HEADER_MAC.as_bytes());
        mac.update(&[0]);
        mac.update(covered);
        mac.finalize().into_bytes().into()
    })
}
