//! What is wrong with a header copy that does not decode.

use crate::passphrase::ParamsError;

/// Why bytes are not a header copy. No key is needed to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A passphrase slot asks for costs outside the permitted range; nothing was computed.
    #[error("a passphrase slot asks for {0}")]
    Argon2(ParamsError),
    /// A field holds what no writer of this version writes.
    #[error("malformed {0}")]
    Malformed(Field),
    /// The magic number is not there.
    #[error("no sealed file")]
    NotSealed,
    /// The suite is not 1.
    #[error("algorithm suite {found} is not known here, only suite 1")]
    SuiteUnsupported {
        /// The suite that the file names.
        found: u16,
    },
    /// The copy ends before its 65,536 bytes.
    #[error("the header copy ends after {found_len} bytes")]
    Truncated {
        /// How many bytes there are.
        found_len: usize,
    },
    /// The format version is not 1.
    #[error("format version {found} is not known here, only version 1")]
    VersionUnsupported {
        /// The version that the file names.
        found: u16,
    },
}

/// Names a field of a header copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// Zero bytes of the body.
    BodyZero,
    /// Length of the body.
    BodyLength,
    /// Length of the copy.
    CopyLength,
    /// The newest epoch.
    Epoch,
    /// What older epochs say of the newest one.
    Succession,
    /// The table of older epochs.
    EpochTable,
    /// Number of used entries of the epoch table.
    EpochCount,
    /// Flags.
    Flags,
    /// Generation.
    Generation,
    /// Minimum epoch.
    MinEpoch,
    /// Zero bytes between the signature and the epoch table.
    Padding,
    /// Page size.
    PageSize,
    /// Number of passphrase slots.
    PassphraseCount,
    /// Zero bytes of the prefix.
    PrefixZero,
    /// The next page to re-encrypt in a file that has no older epochs.
    RekeyProgress,
    /// Revision.
    Revision,
    /// The signature of a file that names no signer.
    Signature,
    /// Whether the file is signed.
    Signed,
    /// The signer's key in a file that names none.
    Signer,
    /// Number of slots.
    SlotCount,
    /// Kind of a slot.
    SlotKind,
    /// Zero bytes of a slot.
    SlotZero,
}

impl core::fmt::Display for Field {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BodyZero => "zero bytes in the body",
            Self::BodyLength => "length of the body",
            Self::CopyLength => "length of the copy",
            Self::Epoch => "epoch",
            Self::EpochTable => "epoch table",
            Self::Succession => "what older epochs say of the newest",
            Self::EpochCount => "number of older epochs",
            Self::Flags => "flags",
            Self::Generation => "generation",
            Self::MinEpoch => "minimum epoch",
            Self::Padding => "padding",
            Self::PageSize => "page size",
            Self::PassphraseCount => "number of passphrase slots",
            Self::PrefixZero => "zero bytes in the prefix",
            Self::RekeyProgress => "rekey progress",
            Self::Revision => "revision",
            Self::Signature => "signature of an unsigned file",
            Self::Signed => "signed flag",
            Self::Signer => "signer of an unsigned file",
            Self::SlotCount => "number of slots",
            Self::SlotKind => "slot kind",
            Self::SlotZero => "zero bytes in a slot",
        })
    }
}
