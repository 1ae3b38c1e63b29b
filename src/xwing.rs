//! X-Wing (draft-connolly-cfrg-xwing-kem): ML-KEM-768 and X25519 combined, so that whoever breaks only
//! one of them learns nothing. HPKE registers it as KEM 0x647a.

use hpke::kem::XWing;
use hpke::{Deserializable, Kem, Serializable};
use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

use crate::KeyError;
use crate::mlkem::{ENCAPSULATION_KEY_LEN, EncapsulationKey};
use crate::secret::{STACK_OF_A_HEADER, wiping_the_stack};

/// Length of an identity's seed in bytes.
pub const SEED_LEN: usize = 32;
/// Length of a recipient in bytes: ML-KEM-768 encapsulation key (1184), X25519 public key (32).
pub const RECIPIENT_LEN: usize = 1216;

/// An X-Wing key pair: what opens a slot. 32 bytes, wiped on drop.
pub struct Identity {
    seed: Box<Zeroizing<[u8; SEED_LEN]>>,
    pub(crate) key: Box<<XWing as Kem>::PrivateKey>,
}

impl Identity {
    /// Draws a fresh identity.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(*seed)
    }

    /// Expands a 32-byte seed. Every seed is valid. The caller wipes its own copy.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "X-Wing takes every 32-byte seed"
    )]
    pub fn from_seed(mut seed: [u8; SEED_LEN]) -> Self {
        wiping_the_stack::<STACK_OF_A_HEADER, _>(|| {
            let key = Deserializable::from_bytes(&seed).expect("a 32-byte seed fits X-Wing");
            let mut identity = Self {
                seed: Box::new(Zeroizing::new([0; SEED_LEN])),
                key: Box::new(key),
            };
            identity.seed.copy_from_slice(&seed);
            seed.zeroize();
            identity
        })
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        wiping_the_stack::<STACK_OF_A_HEADER, _>(|| {
            let key = XWing::sk_to_pk(&self.key);
            Recipient {
                bytes: Box::new(key.to_bytes().into()),
                key: Box::new(key),
            }
        })
    }

    /// The secret seed. Every use of this accessor is a place to review.
    #[must_use]
    pub fn expose_seed(&self) -> &[u8; SEED_LEN] {
        &self.seed
    }
}

impl core::fmt::Debug for Identity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Identity(<redacted>)")
    }
}

/// An X-Wing public key that passed its checks: to whom a key is wrapped. 1216 bytes.
#[derive(Clone)]
pub struct Recipient {
    bytes: Box<[u8; RECIPIENT_LEN]>,
    pub(crate) key: Box<<XWing as Kem>::PublicKey>,
}

impl Recipient {
    /// Reads a 1216-byte public key.
    ///
    /// # Errors
    /// [`KeyError::Length`] and [`KeyError::NotReduced`] as FIPS 203, section 7.2 demands of the
    /// ML-KEM part; [`KeyError::LowOrder`] when the X25519 part is a point of low order, under which
    /// the classical half would protect nothing (RFC 7748, section 6.1).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let fixed = <[u8; RECIPIENT_LEN]>::try_from(bytes).map_err(|_| KeyError::Length {
            found: bytes.len(),
            expected: RECIPIENT_LEN,
        })?;
        let (ml_kem, x25519) = bytes.split_at(ENCAPSULATION_KEY_LEN);
        EncapsulationKey::from_bytes(ml_kem)?;
        if is_low_order(x25519) {
            return Err(KeyError::LowOrder);
        }
        let key = Deserializable::from_bytes(bytes).map_err(|_| KeyError::NotReduced)?;
        Ok(Self {
            bytes: Box::new(fixed),
            key: Box::new(key),
        })
    }

    /// The 1216 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; RECIPIENT_LEN] {
        &self.bytes
    }

    /// The 1216 bytes of the key.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECIPIENT_LEN] {
        *self.bytes
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Recipient {}

/// Whether a 32-byte X25519 public key is of low order: a product with any clamped scalar is zero.
pub(crate) fn is_low_order(point: &[u8]) -> bool {
    <[u8; 32]>::try_from(point).is_ok_and(|point| {
        let any_scalar = StaticSecret::from([1; 32]);
        !any_scalar
            .diffie_hellman(&PublicKey::from(point))
            .was_contributory()
    })
}
