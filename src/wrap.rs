//! Wraps an epoch key to a recipient: HPKE (RFC 9180) base mode, single shot, with X-Wing (KEM 0x647a,
//! draft-ietf-hpke-pq), HKDF-SHA256 (KDF 0x0001) and AES-256-GCM (AEAD 0x0002).
//!
//! `info` is one of our labels, so that a key pair that is also used elsewhere (age wraps to the same
//! key pairs) never opens a message that was made for the other purpose.

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open,
    single_shot_seal_with_rng,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::label::Label;
use crate::mlkem::CIPHERTEXT_LEN;
use crate::xwing::{Identity, Recipient, is_low_order};
use crate::{EpochKey, OpenError};

/// Length of an encapsulation in bytes: ML-KEM-768 ciphertext (1088), X25519 ephemeral key (32).
pub const ENC_LEN: usize = 1120;
/// Length of a wrapped key in bytes: the encrypted key (32) and its tag (16).
pub const WRAPPED_LEN: usize = 48;

/// A key wrapped to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the two outputs of HPKE's single-shot seal"
)]
pub struct WrappedKey {
    /// HPKE `enc`.
    pub enc: [u8; ENC_LEN],
    /// HPKE `ct`: ciphertext, then tag.
    pub sealed: [u8; WRAPPED_LEN],
}

/// Wraps `key` to `recipient` (RFC 9180, section 6.1, `SealBase`). Draws 64 bytes from `rng`.
///
/// It cannot fail: a [`Recipient`] has passed its checks, and the one message of a context is far from
/// every limit.
#[must_use]
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a checked recipient and 32 bytes: every limit is far"
)]
pub fn wrap_key(
    recipient: &Recipient,
    info: Label,
    aad: &[u8],
    key: &EpochKey,
    rng: &mut impl CryptoRng,
) -> WrappedKey {
    let (enc, sealed) = single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
        &OpModeS::Base,
        &recipient.key,
        info.as_bytes(),
        key.expose(),
        aad,
        rng,
    )
    .expect("X-Wing encapsulates to every checked recipient");
    let sealed = sealed.try_into().expect("a 32-byte key and a 16-byte tag");
    WrappedKey {
        enc: enc.to_bytes().into(),
        sealed,
    }
}

/// Unwraps a key (RFC 9180, section 6.1, `OpenBase`).
///
/// # Errors
/// [`OpenError`] when the key was not wrapped to `identity` under this `info` and `aad`, or was altered.
pub fn unwrap_key(
    identity: &Identity,
    info: Label,
    aad: &[u8],
    wrapped: &WrappedKey,
) -> Result<EpochKey, OpenError> {
    // RFC 9180, section 7.1.4 demands it of X25519, and age's implementation refuses it for X-Wing.
    if is_low_order(wrapped.enc.split_at(CIPHERTEXT_LEN).1) {
        return Err(OpenError);
    }
    let enc = <XWing as Kem>::EncappedKey::from_bytes(&wrapped.enc).map_err(|_| OpenError)?;
    let opened = single_shot_open::<AesGcm256, HkdfSha256, XWing>(
        &OpModeR::Base,
        &identity.key,
        &enc,
        info.as_bytes(),
        &wrapped.sealed,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| OpenError)?;
    let key = <[u8; EpochKey::LEN]>::try_from(opened.as_slice()).map_err(|_| OpenError)?;
    Ok(EpochKey::from_bytes(key))
}
