//! The owner's signature over what only the owner changes (FORMAT.md section 7).

use crate::epoch::FileId;
use crate::label;
use crate::mldsa::{SignError, SigningKey, VerifyingKey};

use super::{Header, Signer};

/// Whose file a reader expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The owner's key.
    pub key: VerifyingKey,
    /// Which of the owner's files; any of them if `None`.
    pub file_id: Option<FileId>,
}

/// Why a header is not the expected owner's (F-17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature is not that of the key over this header.
    #[error("the header's signature does not verify")]
    Invalid,
    /// The header is not signed.
    #[error("the header is not signed")]
    Missing,
    /// The header has another file id.
    #[error("the header is that of another file")]
    OtherFile,
    /// The header names another signer.
    #[error("the header is signed by another key")]
    OtherKey,
}

impl Header {
    /// Checks that the expected owner made this file and says who may read it.
    ///
    /// It says nothing about pages: whoever can read can write.
    ///
    /// # Errors
    /// [`SignatureError`] says what differs.
    pub fn check_signature(&self, expected: &Expected) -> Result<(), SignatureError> {
        let signer = self.signer.as_ref().ok_or(SignatureError::Missing)?;
        if signer.key != expected.key {
            return Err(SignatureError::OtherKey);
        }
        if expected
            .file_id
            .is_some_and(|file_id| file_id != self.file_id)
        {
            return Err(SignatureError::OtherFile);
        }
        expected
            .key
            .verify(
                label::HEADER_SIGNATURE,
                &self.signed_bytes(&expected.key),
                &signer.signature,
            )
            .map_err(|_| SignatureError::Invalid)
    }

    /// Signs the header; its body then names `key` as the signer's.
    pub(super) fn sign(&mut self, key: &SigningKey) -> Result<(), SignError> {
        let signed = self.signed_bytes(key.verifying_key());
        let signature = key.sign(label::HEADER_SIGNATURE, &signed)?;
        self.signer = Some(Signer {
            key: key.verifying_key().clone(),
            signature,
        });
        Ok(())
    }
}
