//! What comes of reading both header copies.

use crate::passphrase::ParamsError;
use crate::slot::{Slot, SlotKind};

use super::{DecodeError, EpochSet, Header, SignatureError, Stamp, stamp};

/// An authentic header with the keys it leads to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The header.
    pub header: Header,
    /// The keys of all its epochs.
    pub epochs: EpochSet,
    /// Index of the slot that a key opened; `None` after [`reopen`](super::reopen), which needs none.
    pub slot: Option<usize>,
    /// In which state copy A and copy B are.
    pub copies: [CopyState; 2],
}

impl Opened {
    /// What yields the key pair of the slot that was opened.
    #[must_use]
    pub fn slot_kind(&self) -> Option<SlotKind> {
        self.slot
            .and_then(|index| self.header.slots().get(index))
            .map(Slot::kind)
    }

    /// Whether both copies are the header in use.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.copies.iter().all(|state| *state == CopyState::Good)
    }

    /// Whether the copy that is not in use claims to be newer and is for other keys: the owner may have
    /// been interrupted while he took this key away. Who holds it must not write over that copy.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.copies
            .iter()
            .any(|state| matches!(state, CopyState::Foreign(stamp) if *stamp > self.header.stamp()))
    }

    /// Whether the file's copies are still those that were opened, to judge by their first
    /// [`STAMP_LEN`](super::STAMP_LEN) bytes (F-20).
    ///
    /// Never so if a copy was not good when it was read: a copy torn behind its first bytes has the
    /// right stamp.
    #[must_use]
    pub fn is_current(&self, start_a: &[u8], start_b: &[u8]) -> bool {
        let held = Some(self.header.stamp());
        self.is_healthy() && stamp(start_a) == held && stamp(start_b) == held
    }
}

/// In which state a header copy is, beside the one in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyState {
    /// It decodes, but does not authenticate.
    Altered,
    /// It authenticates and claims to be as recent as the one in use, but differs.
    Conflicting,
    /// It does not decode.
    Damaged(DecodeError),
    /// It decodes, but no key at hand is meant for it, so it cannot be judged.
    Foreign(Stamp),
    /// It is the header in use, byte for byte.
    Good,
    /// It authenticates and is older than the one in use: an update was interrupted.
    Older,
    /// It authenticates, but is not the expected owner's.
    Refused(SignatureError),
}

/// Why no header can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderOpenError {
    /// A slot is meant for a key at hand, but nothing authenticates.
    #[error("the header was altered or is damaged")]
    Altered,
    /// An Argon2id could not be computed here.
    #[error("the passphrase cannot be tried: {0}")]
    Argon2(ParamsError),
    /// No copy decodes.
    #[error("both header copies are damaged (A: {a}; B: {b})")]
    Damaged {
        /// What is wrong with copy A.
        a: DecodeError,
        /// What is wrong with copy B.
        b: DecodeError,
    },
    /// No slot is meant for a key at hand.
    #[error("no key at hand opens the file")]
    NoKey,
    /// No copy begins as one does.
    #[error("not a sealed file")]
    NotSealed,
    /// The header authenticates, but is not the expected owner's.
    #[error("{0}")]
    Signature(SignatureError),
    /// The suite is not 1.
    #[error("algorithm suite {found} is not known here, only suite 1")]
    SuiteUnsupported {
        /// The suite that the file names.
        found: u16,
    },
    /// Only from [`reopen`](super::reopen): the newest copy is of an epoch whose key is not known.
    /// [`open`](super::open) tells.
    #[error("the key of epoch {epoch} is not known")]
    UnknownEpoch {
        /// The epoch that the header claims.
        epoch: u32,
    },
    /// The format version is not 1.
    #[error("format version {found} is not known here, only version 1")]
    VersionUnsupported {
        /// The version that the file names.
        found: u16,
    },
}
