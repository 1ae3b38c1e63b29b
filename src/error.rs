//! Errors that more than one module returns; the others stand beside the operation that fails.

/// An authenticated opening failed: a wrong key, other associated data, or altered bytes.
///
/// Deliberately without detail, so that nobody learns which check inside it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("authentication failed")]
pub struct OpenError;

/// A signature does not verify under the given key, label and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct VerifyError;

/// Bytes are not what they should be: a ciphertext or a signature of the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input has the wrong length.
    #[error("{found} bytes, where {expected} belong")]
    Length {
        /// The length that was given, in bytes.
        found: usize,
        /// The length that is required, in bytes.
        expected: usize,
    },
}

/// A public key is refused before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The hash inside an expanded decapsulation key does not fit (FIPS 203, section 7.3).
    #[error("the key's hash of its public half does not match")]
    HashMismatch,
    /// The key has the wrong length (FIPS 203, section 7.2; FIPS 204, section 3.6.2).
    #[error("a key of {found} bytes, where {expected} belong")]
    Length {
        /// The length that was given, in bytes.
        found: usize,
        /// The length that is required, in bytes.
        expected: usize,
    },
    /// The X25519 part is a point of low order (RFC 7748, section 6.1).
    #[error("the key's X25519 part has low order")]
    LowOrder,
    /// A coefficient of the ML-KEM part is not reduced (FIPS 203, section 7.2, modulus check).
    #[error("the key's ML-KEM part is not reduced")]
    NotReduced,
}
