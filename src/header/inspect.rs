//! What a header says to someone who has no key.

use super::open::undecodable;
use super::{DecodeError, Expected, Header, HeaderOpenError, SignatureError};

/// What can be known of a header without a key. Nothing of it is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Both copies, as far as they decode.
    pub copies: [Result<Header, DecodeError>; 2],
    /// Whether the copies are the same bytes, as they are in a healthy file.
    pub identical: bool,
    /// Whether the signature of the header fits the key beside it.
    pub signature: SignatureState,
    /// What the copies say about the file if neither decodes.
    pub refusal: Option<HeaderOpenError>,
}

/// Whether a header is signed, by the key that it names itself. That proves nothing about who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureState {
    /// The signature does not verify under the key in the header.
    Invalid,
    /// There is no signature, or no header.
    Missing,
    /// The signature verifies under the key in the header.
    Valid,
}

impl Inspection {
    /// The header that claims to be the newest.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        match &self.copies {
            [Ok(a), Ok(b)] => Some(if b.stamp() > a.stamp() { b } else { a }),
            [Ok(header), Err(_)] | [Err(_), Ok(header)] => Some(header),
            [Err(_), Err(_)] => None,
        }
    }
}

/// Reads both copies without a key.
#[must_use]
pub fn inspect(copy_a: &[u8], copy_b: &[u8]) -> Inspection {
    let mut inspection = Inspection {
        copies: [Header::decode(copy_a), Header::decode(copy_b)],
        identical: copy_a == copy_b,
        signature: SignatureState::Missing,
        refusal: None,
    };
    if let [Err(a), Err(b)] = inspection.copies {
        inspection.refusal = Some(undecodable([copy_a, copy_b], a, b));
    }
    if let Some(header) = inspection.header()
        && let Some(key) = header.signer()
    {
        let expected = Expected {
            key: key.clone(),
            file_id: None,
        };
        inspection.signature = match header.check_signature(&expected) {
            Ok(()) => SignatureState::Valid,
            Err(SignatureError::Missing) => SignatureState::Missing,
            Err(_) => SignatureState::Invalid,
        };
    }
    inspection
}
