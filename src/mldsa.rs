//! ML-DSA-65 (FIPS 204), pure, with an empty context, over `aws-lc-rs`.
//!
//! What is signed is `label ‖ 0x00 ‖ message`: the backend cannot set a FIPS 204 context, and a label
//! inside the message separates purposes under every backend.
//!
//! Signatures are hedged (FIPS 204, section 3.4): 32 fresh bytes enter each one. The backend draws them
//! from its own generator and has no entry point that takes them. This is the one exception to the rule
//! that randomness is passed into this crate; a generator that fails leaves the signature deterministic
//! in effect, which FIPS 204 permits.

#[cfg(feature = "hazmat")]
use aws_lc_rs::encoding::AsRawBytes;
use aws_lc_rs::signature::{
    KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, PqdsaKeyPair, UnparsedPublicKey,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::label::Label;
use crate::{DecodeError, KeyError, VerifyError};

/// Length of a seed ξ in bytes.
pub const SEED_LEN: usize = 32;
/// Length of a verifying key in bytes.
pub const VERIFYING_KEY_LEN: usize = 1952;
/// Length of a signature in bytes.
pub const SIGNATURE_LEN: usize = 3309;

/// The backend refused to sign: its random generator or its allocator failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signing failed: the random generator or the allocator gave out")]
#[non_exhaustive]
pub struct SignError;

/// An ML-DSA-65 key pair, stored as its 32-byte seed ξ and wiped on drop.
pub struct SigningKey {
    seed: Zeroizing<[u8; SEED_LEN]>,
    key: PqdsaKeyPair,
    verifying_key: VerifyingKey,
}

impl SigningKey {
    /// Draws a fresh key pair (FIPS 204, Algorithm 1).
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(*seed)
    }

    /// Expands a 32-byte seed (FIPS 204, Algorithm 6). Every seed is valid. The caller wipes its copy.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "every 32-byte seed expands; only allocation can fail"
    )]
    pub fn from_seed(seed: [u8; SEED_LEN]) -> Self {
        let seed = Zeroizing::new(seed);
        let key = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, seed.as_ref())
            .expect("a 32-byte seed expands to a key pair");
        let verifying_key = VerifyingKey::from_bytes(key.public_key().as_ref())
            .expect("the backend's public key has the length of FIPS 204");
        Self {
            seed,
            key,
            verifying_key,
        }
    }

    /// The secret seed. Every use of this accessor is a place to review.
    #[must_use]
    pub fn expose_seed(&self) -> &[u8; SEED_LEN] {
        &self.seed
    }

    /// The public half.
    #[must_use]
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }

    /// Signs `label ‖ 0x00 ‖ message` (FIPS 204, Algorithm 2, empty context, hedged).
    ///
    /// # Errors
    /// [`SignError`] when the backend's random generator or allocator fails.
    pub fn sign(&self, label: Label, message: &[u8]) -> Result<Signature, SignError> {
        self.sign_raw(&labelled(label, message))
    }

    pub(crate) fn sign_raw(&self, message: &[u8]) -> Result<Signature, SignError> {
        let mut signature = Box::new([0; SIGNATURE_LEN]);
        match self.key.sign(message, signature.as_mut()) {
            Ok(SIGNATURE_LEN) => Ok(Signature(signature)),
            _ => Err(SignError),
        }
    }

    #[cfg(feature = "hazmat")]
    pub(crate) fn expanded(&self) -> Result<[u8; 4032], SignError> {
        let raw = self
            .key
            .private_key()
            .as_raw_bytes()
            .map_err(|_| SignError)?;
        raw.as_ref().try_into().map_err(|_| SignError)
    }
}

impl core::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SigningKey(<redacted>)")
    }
}

/// An ML-DSA-65 public key. 1952 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifyingKey(Box<[u8; VERIFYING_KEY_LEN]>);

impl VerifyingKey {
    /// Reads a 1952-byte key. Every value of that length is a key (FIPS 204, Algorithm 23).
    ///
    /// # Errors
    /// [`KeyError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        <[u8; VERIFYING_KEY_LEN]>::try_from(bytes)
            .map(|bytes| Self(Box::new(bytes)))
            .map_err(|_| KeyError::Length {
                found: bytes.len(),
                expected: VERIFYING_KEY_LEN,
            })
    }

    /// The 1952 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; VERIFYING_KEY_LEN] {
        &self.0
    }

    /// Verifies a signature over `label ‖ 0x00 ‖ message` (FIPS 204, Algorithm 3, empty context).
    ///
    /// # Errors
    /// [`VerifyError`] when the signature was not made by this key for this label and message.
    pub fn verify(
        &self,
        label: Label,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), VerifyError> {
        self.verify_raw(&labelled(label, message), signature.as_bytes())
    }

    pub(crate) fn verify_raw(&self, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        UnparsedPublicKey::new(&ML_DSA_65, self.0.as_slice())
            .verify(message, signature)
            .map_err(|_| VerifyError)
    }
}

/// An ML-DSA-65 signature, not yet verified. 3309 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(Box<[u8; SIGNATURE_LEN]>);

impl Signature {
    /// Reads 3309 bytes. Whether they are a signature is for [`VerifyingKey::verify`] to say.
    ///
    /// # Errors
    /// [`DecodeError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        <[u8; SIGNATURE_LEN]>::try_from(bytes)
            .map(|bytes| Self(Box::new(bytes)))
            .map_err(|_| DecodeError::Length {
                found: bytes.len(),
                expected: SIGNATURE_LEN,
            })
    }

    /// The 3309 bytes of the signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.0
    }
}

impl core::fmt::Debug for Signature {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Signature(..)")
    }
}

fn labelled(label: Label, message: &[u8]) -> Vec<u8> {
    [label.as_bytes(), &[0], message].concat()
}
