//! What can be wrong with a seal or a proof.

/// Why bytes are not a seal, or not a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field holds what no writer of this version writes.
    #[error("malformed {0}")]
    Malformed(Field),
    /// The magic number is not that of a proof.
    #[error("not a proof of a sealed state")]
    NotAProof,
    /// The magic number is not that of a seal.
    #[error("not a seal")]
    NotASeal,
    /// The suite is not 1.
    #[error("algorithm suite {found} is not known here, only suite 1")]
    SuiteUnsupported {
        /// The suite that it names.
        found: u16,
    },
    /// The version is not 1.
    #[error("version {found} is not known here, only version 1")]
    VersionUnsupported {
        /// The version that it names.
        found: u16,
    },
}

/// Names a field of a seal or a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// Generation.
    Generation,
    /// Length of the whole.
    Length,
    /// Page number.
    PageNumber,
    /// Page size.
    PageSize,
    /// Page count.
    Pages,
    /// Number of hashes in the path.
    PathLength,
    /// Revision.
    Revision,
    /// Zero bytes.
    Zero,
}

impl core::fmt::Display for Field {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Generation => "generation",
            Self::Length => "length",
            Self::PageNumber => "page number",
            Self::PageSize => "page size",
            Self::Pages => "page count",
            Self::PathLength => "length of the path",
            Self::Revision => "revision",
            Self::Zero => "zero bytes",
        })
    }
}

/// Why a seal is not the expected signer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The signature is not that of the key over this seal.
    #[error("the seal's signature does not verify")]
    Invalid,
    /// The seal is about another file.
    #[error("the seal is about another file")]
    OtherFile,
    /// The seal names another signer.
    #[error("the seal is signed by another key")]
    OtherKey,
}

/// Why a proof shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The page, its number or the path was altered.
    #[error("the proof does not lead to the root of the seal")]
    NotInState,
    /// The proof was made for another seal.
    #[error("the proof belongs to another seal")]
    OtherSeal,
    /// The seal is not the expected signer's.
    #[error(transparent)]
    Seal(#[from] SealError),
}
