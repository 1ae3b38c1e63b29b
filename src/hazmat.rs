//! Deterministic and expanded-key entry points, for known-answer tests only.
//!
//! Each calls the code that the product calls and differs only in where the randomness comes from, or
//! in the form of the key. A product that fixes its randomness loses every guarantee of this crate.

use core::convert::Infallible;

use hkdf::Hkdf;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, Serializable};
use ml_kem::ml_kem_768;
use rand_core::{TryCryptoRng, TryRng};
use sha2::{Sha256, Sha384, Sha512};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::label::Label;
use crate::mldsa::{SIGNATURE_LEN, SigningKey, VerifyingKey};
use crate::mlkem::{CIPHERTEXT_LEN, DecapsulationKey, EncapsulationKey};
use crate::wrap::{ENC_LEN, WrappedKey};
use crate::xwing::{Identity, Recipient};
use crate::{DecodeError, EpochKey, KeyError, SharedSecret, VerifyError};

/// Length of an expanded ML-KEM-768 decapsulation key in bytes.
pub const EXPANDED_DECAPSULATION_KEY_LEN: usize = 2400;
/// Length of an expanded ML-DSA-65 signing key in bytes.
pub const EXPANDED_SIGNING_KEY_LEN: usize = 4032;

/// ML-KEM.Encaps_internal (FIPS 203, Algorithm 17) with the 32 random bytes `m`.
#[must_use]
pub fn encapsulate(key: &EncapsulationKey, m: &[u8; 32]) -> ([u8; CIPHERTEXT_LEN], SharedSecret) {
    key.encapsulate_with(m)
}

/// The 2400-byte expanded form of a decapsulation key.
#[must_use]
pub fn expanded_decapsulation_key(key: &DecapsulationKey) -> [u8; EXPANDED_DECAPSULATION_KEY_LEN] {
    #[expect(deprecated, reason = "known answers are given in the expanded form")]
    let expanded = ml_kem::ExpandedKeyEncoding::to_expanded_bytes(&key.0);
    expanded.into()
}

/// Reads a 2400-byte expanded decapsulation key with the checks of FIPS 203, section 7.3.
///
/// # Errors
/// [`KeyError::Length`] (type check), [`KeyError::NotReduced`] for the encapsulation key inside,
/// [`KeyError::HashMismatch`] (hash check).
pub fn decapsulation_key_from_expanded(bytes: &[u8]) -> Result<DecapsulationKey, KeyError> {
    let found = bytes.len();
    #[expect(deprecated, reason = "known answers are given in the expanded form")]
    let expanded =
        ml_kem_768::ExpandedDecapsulationKey::try_from(bytes).map_err(|_| KeyError::Length {
            found,
            expected: EXPANDED_DECAPSULATION_KEY_LEN,
        })?;
    if let Some(ek) = bytes.get(1152..2336) {
        EncapsulationKey::from_bytes(ek)?;
    }
    #[expect(deprecated, reason = "known answers are given in the expanded form")]
    let key = ml_kem::ExpandedKeyEncoding::from_expanded_bytes(&expanded);
    key.map(DecapsulationKey)
        .map_err(|_| KeyError::HashMismatch)
}

/// X-Wing encapsulation with the 64 random bytes `eseed`: the 1120-byte ciphertext and the secret.
///
/// # Errors
/// [`KeyError::LowOrder`] stands for every refusal of the backend.
pub fn xwing_encapsulate(
    recipient: &Recipient,
    eseed: &[u8; 64],
) -> Result<([u8; ENC_LEN], SharedSecret), KeyError> {
    let (secret, enc) = XWing::encap_with_rng(&recipient.key, None, &mut Replay::new(eseed))
        .map_err(|_| KeyError::LowOrder)?;
    Ok((
        enc.to_bytes().into(),
        SharedSecret::from_bytes(secret.0.into()),
    ))
}

/// X-Wing decapsulation of a 1120-byte ciphertext.
///
/// # Errors
/// [`DecodeError::Length`].
pub fn xwing_decapsulate(identity: &Identity, enc: &[u8]) -> Result<SharedSecret, DecodeError> {
    let wrong_length = DecodeError::Length {
        found: enc.len(),
        expected: ENC_LEN,
    };
    let enc = <XWing as Kem>::EncappedKey::from_bytes(enc).map_err(|_| wrong_length)?;
    let secret = XWing::decap(&identity.key, None, &enc).map_err(|_| wrong_length)?;
    Ok(SharedSecret::from_bytes(secret.0.into()))
}

/// [`crate::wrap::wrap_key`] with the 64 random bytes `eseed`.
#[must_use]
pub fn wrap_key(
    recipient: &Recipient,
    info: Label,
    aad: &[u8],
    key: &EpochKey,
    eseed: &[u8; 64],
) -> WrappedKey {
    crate::wrap::wrap_key(recipient, info, aad, key, &mut Replay::new(eseed))
}

/// Signs a message without a label: pure ML-DSA-65, empty context, hedged.
///
/// # Errors
/// [`crate::mldsa::SignError`].
pub fn sign_unlabelled(
    key: &SigningKey,
    message: &[u8],
) -> Result<[u8; SIGNATURE_LEN], crate::mldsa::SignError> {
    key.sign_raw(message).map(|signature| *signature.as_bytes())
}

/// Verifies a message without a label: pure ML-DSA-65, empty context.
///
/// # Errors
/// [`VerifyError`], also for a signature of the wrong length.
pub fn verify_unlabelled(
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    key.verify_raw(message, signature)
}

/// The 4032-byte expanded form of a signing key (FIPS 204, Algorithm 24).
///
/// # Errors
/// [`crate::mldsa::SignError`] when the backend's allocator fails.
pub fn expanded_signing_key(
    key: &SigningKey,
) -> Result<[u8; EXPANDED_SIGNING_KEY_LEN], crate::mldsa::SignError> {
    key.expanded()
}

/// A hash function of HKDF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HkdfHash {
    /// SHA-256: the one that the product uses.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// What [`hkdf`] yields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HkdfOutput {
    /// The extracted key.
    pub prk: Vec<u8>,
    /// The expanded output.
    pub okm: Vec<u8>,
}

/// HKDF (RFC 5869) to `len` bytes. `None` when `len` is above 255 hash lengths.
#[must_use]
pub fn hkdf(
    hash: HkdfHash,
    salt: &[u8],
    ikm: &[u8],
    info: &[u8],
    len: usize,
) -> Option<HkdfOutput> {
    macro_rules! run {
        ($hash:ty, $hash_len:literal) => {{
            if len > 255 * $hash_len {
                return None;
            }
            let (prk, expander) = Hkdf::<$hash>::extract(Some(salt), ikm);
            let mut okm = vec![0; len];
            expander.expand(info, &mut okm).ok()?;
            Some(HkdfOutput {
                prk: prk.to_vec(),
                okm,
            })
        }};
    }
    match hash {
        HkdfHash::Sha256 => run!(Sha256, 32),
        HkdfHash::Sha384 => run!(Sha384, 48),
        HkdfHash::Sha512 => run!(Sha512, 64),
    }
}

/// X25519 (RFC 7748, section 6.1). `None` when the shared secret is all zero.
#[must_use]
pub fn x25519(secret: &[u8; 32], public: &[u8; 32]) -> Option<[u8; 32]> {
    let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*public));
    shared.was_contributory().then(|| shared.to_bytes())
}

/// Replays fixed bytes as randomness, then zeros: a caller that draws more than it was given shows up
/// as a wrong answer.
struct Replay<'a>(&'a [u8]);

impl<'a> Replay<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl TryRng for Replay<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let count = out.len().min(self.0.len());
        let (now, later) = self.0.split_at(count);
        out.fill(0);
        out.split_at_mut(count).0.copy_from_slice(now);
        self.0 = later;
        Ok(())
    }
}

impl TryCryptoRng for Replay<'_> {}
