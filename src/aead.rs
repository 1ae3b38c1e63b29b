//! AES-256-GCM (NIST SP 800-38D), 12-byte nonce, 16-byte tag, in place.
//!
//! The backend is `aws-lc-rs`, or `aes-gcm` with feature `portable`; both are
//! tested against each other.

use crate::OpenError;

/// Length of a key in bytes.
pub const KEY_LEN: usize = 32;
/// Length of a nonce in bytes.
pub const NONCE_LEN: usize = 12;
/// Length of a tag in bytes.
pub const TAG_LEN: usize = 16;

#[cfg(not(feature = "portable"))]
use aws_lc as backend;
#[cfg(feature = "portable")]
use portable as backend;

/// An expanded AES-256-GCM key; the backend wipes it on drop.
pub struct Key(backend::Key);

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("aead::Key(<redacted>)")
    }
}

impl Key {
    /// Expands a 32-byte key.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        Self(backend::Key::new(key))
    }

    /// Encrypts `buf` in place and returns the 16-byte tag.
    ///
    /// The caller guarantees that `nonce` was never used with this key before.
    #[must_use]
    pub fn seal_in_place(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buf: &mut [u8],
    ) -> [u8; TAG_LEN] {
        self.0.seal_in_place(nonce, aad, buf)
    }

    /// Decrypts `buf` in place after checking `tag`.
    ///
    /// # Errors
    /// [`OpenError`] when the tag does not fit; the contents of `buf` are then unspecified and must
    /// not be used.
    pub fn open_in_place(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), OpenError> {
        self.0.open_in_place(nonce, aad, buf, tag)
    }

    /// Decrypts `ciphertext` into `out`, which has the same length, after checking `tag`.
    ///
    /// # Errors
    /// [`OpenError`] when the tag does not fit, or the lengths differ; the contents of `out` are then unspecified
    /// and must not be used.
    pub fn open_to(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_LEN],
        out: &mut [u8],
    ) -> Result<(), OpenError> {
        if ciphertext.len() != out.len() {
            return Err(OpenError);
        }
        self.0.open_to(nonce, aad, ciphertext, tag, out)
    }
}

#[cfg(not(feature = "portable"))]
mod aws_lc {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    use super::{KEY_LEN, NONCE_LEN, OpenError, TAG_LEN};

    pub(super) struct Key(LessSafeKey);

    impl Key {
        #[expect(clippy::expect_used, reason = "AES-256-GCM takes every 32-byte key")]
        pub(super) fn new(key: &[u8; KEY_LEN]) -> Self {
            Self(LessSafeKey::new(
                UnboundKey::new(&AES_256_GCM, key).expect("a 32-byte key fits AES-256-GCM"),
            ))
        }

        #[expect(
            clippy::expect_used,
            clippy::indexing_slicing,
            reason = "sealing fails only above 2^36 bytes; the tag has 16 bytes"
        )]
        pub(super) fn seal_in_place(
            &self,
            nonce: &[u8; NONCE_LEN],
            aad: &[u8],
            buf: &mut [u8],
        ) -> [u8; TAG_LEN] {
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let tag = self
                .0
                .seal_in_place_separate_tag(nonce, Aad::from(aad), buf)
                .expect("the buffer is below the limit of AES-GCM");
            let mut out = [0; TAG_LEN];
            out.copy_from_slice(&tag.as_ref()[..TAG_LEN]);
            out
        }

        pub(super) fn open_in_place(
            &self,
            nonce: &[u8; NONCE_LEN],
            aad: &[u8],
            buf: &mut [u8],
            tag: &[u8; TAG_LEN],
        ) -> Result<(), OpenError> {
            let nonce = Nonce::assume_unique_for_key(*nonce);
            self.0
                .open_in_place_separate_tag(nonce, Aad::from(aad), tag, buf)
                .map(|_| ())
                .map_err(|_| OpenError)
        }

        pub(super) fn open_to(
            &self,
            nonce: &[u8; NONCE_LEN],
            aad: &[u8],
            ciphertext: &[u8],
            tag: &[u8; TAG_LEN],
            out: &mut [u8],
        ) -> Result<(), OpenError> {
            let nonce = Nonce::assume_unique_for_key(*nonce);
            self.0
                .open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, out)
                .map_err(|_| OpenError)
        }
    }
}

#[cfg(feature = "portable")]
mod portable {
    use aes_gcm::aead::{AeadInOut, KeyInit};
    use aes_gcm::{Aes256Gcm, Nonce, Tag};

    use super::{KEY_LEN, NONCE_LEN, OpenError, TAG_LEN};

    pub(super) struct Key(Box<Aes256Gcm>);

    impl Key {
        pub(super) fn new(key: &[u8; KEY_LEN]) -> Self {
            Self(Box::new(Aes256Gcm::new(key.into())))
        }

        #[expect(clippy::expect_used, reason = "sealing fails only above 2^36 bytes")]
        pub(super) fn seal_in_place(
            &self,
            nonce: &[u8; NONCE_LEN],
            aad: &[u8],
            buf: &mut [u8],
        ) -> [u8; TAG_LEN] {
            self.0
                .encrypt_inout_detached(&Nonce::from(*nonce), aad, buf.into())
                .expect("the buffer is below the limit of AES-GCM")
                .into()
        }

        pub(super) fn open_in_place(
            &self,
            nonce: &[u8; NONCE_LEN],
            aad: &[u8],
            buf: &mut [u8],
            tag: &[u8; TAG_LEN],
        ) -> Result<(), OpenError> {
            self.0
                .decrypt_inout_detached(&Nonce::from(*nonce), aad, buf.into(), &Tag::from(*tag))
                .map_err(|_| OpenError)
        }

        pub(super) fn open_to(
            &self,
            nonce: &[u8; NONCE_LEN],
            aad: &[u8],
            ciphertext: &[u8],
            tag: &[u8; TAG_LEN],
            out: &mut [u8],
        ) -> Result<(), OpenError> {
            out.copy_from_slice(ciphertext);
            self.open_in_place(nonce, aad, out, tag)
        }
    }
}
