//! ML-KEM-768 (FIPS 203) with the input checks of section 7, over the crate `ml-kem`.
//!
//! A decapsulation key is stored as its 64-byte seed d‖z and nothing else: an expanded key would have
//! to be checked before every use (section 7.3), a seed cannot be malformed.

use ml_kem::kem::{Decapsulate, KeyExport, TryKeyInit};
use ml_kem::{DecapsulationKey768, EncapsulationKey768, ml_kem_768};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{DecodeError, KeyError, SharedSecret};

/// Length of a seed d‖z in bytes.
pub const SEED_LEN: usize = 64;
/// Length of an encapsulation key in bytes.
pub const ENCAPSULATION_KEY_LEN: usize = 1184;
/// Length of a ciphertext in bytes.
pub const CIPHERTEXT_LEN: usize = 1088;

/// An ML-KEM-768 decapsulation key, expanded; wiped on drop.
pub struct DecapsulationKey(pub(crate) DecapsulationKey768);

impl DecapsulationKey {
    /// Draws a fresh seed and expands it (FIPS 203, Algorithm 19).
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = [0; SEED_LEN];
        rng.fill_bytes(&mut seed);
        let key = Self::from_seed(&seed);
        seed.zeroize();
        key
    }

    /// Expands a 64-byte seed d‖z (FIPS 203, Algorithm 16). Every seed is valid.
    #[must_use]
    pub fn from_seed(seed: &[u8; SEED_LEN]) -> Self {
        Self(DecapsulationKey768::from_seed((*seed).into()))
    }

    /// The public half.
    #[must_use]
    pub fn encapsulation_key(&self) -> EncapsulationKey {
        EncapsulationKey(self.0.encapsulation_key().clone())
    }

    /// Decapsulates a 1088-byte ciphertext (FIPS 203, Algorithm 21).
    ///
    /// A ciphertext that was not made for this key yields a pseudorandom secret (implicit rejection),
    /// never an error: only what is later opened with the secret tells.
    ///
    /// # Errors
    /// [`DecodeError`] when `ciphertext` is not 1088 bytes long (FIPS 203, section 7.3).
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<SharedSecret, DecodeError> {
        let found = ciphertext.len();
        let ciphertext =
            ml_kem_768::Ciphertext::try_from(ciphertext).map_err(|_| DecodeError::Length {
                found,
                expected: CIPHERTEXT_LEN,
            })?;
        Ok(take_secret(self.0.decapsulate(&ciphertext)))
    }
}

impl core::fmt::Debug for DecapsulationKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("mlkem::DecapsulationKey(<redacted>)")
    }
}

/// An ML-KEM-768 encapsulation key that passed the checks of FIPS 203, section 7.2.
#[derive(Clone, PartialEq, Eq)]
pub struct EncapsulationKey(pub(crate) EncapsulationKey768);

impl EncapsulationKey {
    /// Reads a 1184-byte key.
    ///
    /// # Errors
    /// [`KeyError::Length`] when the type check of FIPS 203, section 7.2 fails,
    /// [`KeyError::NotReduced`] when its modulus check does.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != ENCAPSULATION_KEY_LEN {
            return Err(KeyError::Length {
                found: bytes.len(),
                expected: ENCAPSULATION_KEY_LEN,
            });
        }
        EncapsulationKey768::new_from_slice(bytes)
            .map(Self)
            .map_err(|_| KeyError::NotReduced)
    }

    /// The 1184 bytes of the key.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ENCAPSULATION_KEY_LEN] {
        self.0.to_bytes().into()
    }

    /// Encapsulates a fresh secret (FIPS 203, Algorithm 20): the 1088-byte ciphertext and the secret.
    #[must_use]
    pub fn encapsulate(&self, rng: &mut impl CryptoRng) -> ([u8; CIPHERTEXT_LEN], SharedSecret) {
        let mut m = [0; 32];
        rng.fill_bytes(&mut m);
        let made = self.encapsulate_with(&m);
        m.zeroize();
        made
    }

    pub(crate) fn encapsulate_with(&self, m: &[u8; 32]) -> ([u8; CIPHERTEXT_LEN], SharedSecret) {
        let (ciphertext, secret) = self.0.encapsulate_deterministic(m.into());
        (ciphertext.into(), take_secret(secret))
    }
}

impl core::fmt::Debug for EncapsulationKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("mlkem::EncapsulationKey(..)")
    }
}

/// Moves a backend's secret into our type and wipes the source.
fn take_secret(mut secret: ml_kem::SharedKey) -> SharedSecret {
    let ours = SharedSecret::from_bytes(secret.into());
    secret.zeroize();
    ours
}
