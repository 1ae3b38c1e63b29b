//! HKDF-SHA256 (RFC 5869) under labels of [`crate::label`].

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::label::Label;

/// `HKDF-SHA256(salt, ikm, info = label, L = 32)`: extract, then expand to 32 bytes.
#[must_use]
pub fn hkdf_sha256(salt: &[u8], ikm: &[u8], info: Label) -> Zeroizing<[u8; 32]> {
    expand(&Hkdf::<Sha256>::new(Some(salt), ikm), info)
}

/// `HKDF-Expand(prk, info = label, L = 32)` of an extracted key.
#[expect(
    clippy::expect_used,
    reason = "32 bytes are below the limit of 255 * 32 bytes"
)]
pub(crate) fn expand(prk: &Hkdf<Sha256>, info: Label) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    prk.expand(info.as_bytes(), out.as_mut())
        .expect("32 bytes can be expanded");
    out
}
