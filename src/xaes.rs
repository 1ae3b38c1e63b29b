//! XAES-256-GCM (C2SP): AES-256-GCM with a 24-byte nonce.
//!
//! The first 12 bytes of the nonce, the *prefix*, select a derived key; the last 12 are the nonce of
//! AES-256-GCM. Deriving costs two AES blocks and a key expansion, so whoever seals or opens many
//! messages of one prefix keeps the derived key ([`Key::derive`]).

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::Zeroizing;

use crate::secret::{STACK_OF_A_DERIVATION, wiping_the_stack};
use crate::{OpenError, aead};

/// Length of a nonce in bytes: prefix 12 ‖ GCM nonce 12.
pub const NONCE_LEN: usize = 24;
/// Length of the prefix that selects a derived key.
pub const PREFIX_LEN: usize = 12;

/// An XAES-256-GCM key with its subkey for derivation.
pub struct Key {
    cipher: Aes256,
    k1: Zeroizing<[u8; 16]>,
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("xaes::Key(<redacted>)")
    }
}

impl Key {
    /// Expands a 32-byte key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let cipher = Aes256::new(key.into());
        let k1 = Zeroizing::new(dbl(encrypt(&cipher, [0; 16])));
        Self { cipher, k1 }
    }

    /// The AES-256-GCM key of all nonces that start with `prefix`.
    #[must_use]
    pub fn derive(&self, prefix: &[u8; PREFIX_LEN]) -> aead::Key {
        wiping_the_stack::<STACK_OF_A_DERIVATION, _>(|| {
            let mut derived = Zeroizing::new([0; aead::KEY_LEN]);
            let (low, high) = derived.split_at_mut(16);
            low.copy_from_slice(self.block(1, prefix).as_slice());
            high.copy_from_slice(self.block(2, prefix).as_slice());
            aead::Key::new(&derived)
        })
    }

    /// Encrypts `buf` in place and returns the 16-byte tag.
    #[must_use]
    pub fn seal_in_place(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buf: &mut [u8],
    ) -> [u8; aead::TAG_LEN] {
        let (prefix, nonce) = split(nonce);
        self.derive(&prefix).seal_in_place(&nonce, aad, buf)
    }

    /// Decrypts `buf` in place after checking `tag`.
    ///
    /// # Errors
    /// [`OpenError`] when the tag does not fit; `buf` must then not be used.
    pub fn open_in_place(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; aead::TAG_LEN],
    ) -> Result<(), OpenError> {
        let (prefix, nonce) = split(nonce);
        self.derive(&prefix).open_in_place(&nonce, aad, buf, tag)
    }

    /// `AES_K(K1 ⊕ (0x00 ‖ counter ‖ 'X' ‖ 0x00 ‖ prefix))`.
    fn block(&self, counter: u8, prefix: &[u8; PREFIX_LEN]) -> Zeroizing<[u8; 16]> {
        let mut block = Zeroizing::new([0; 16]);
        let (head, tail) = block.split_at_mut(4);
        head.copy_from_slice(&[0, counter, b'X', 0]);
        tail.copy_from_slice(prefix);
        for (b, k) in block.iter_mut().zip(self.k1.iter()) {
            *b ^= k;
        }
        Zeroizing::new(encrypt(&self.cipher, *block))
    }
}

/// The prefix and the GCM nonce of a 24-byte nonce.
pub(crate) fn split(nonce: &[u8; NONCE_LEN]) -> ([u8; PREFIX_LEN], [u8; aead::NONCE_LEN]) {
    let mut prefix = [0; PREFIX_LEN];
    let mut rest = [0; aead::NONCE_LEN];
    let (head, tail) = nonce.split_at(PREFIX_LEN);
    prefix.copy_from_slice(head);
    rest.copy_from_slice(tail);
    (prefix, rest)
}

/// One AES-256 block.
pub(crate) fn encrypt(cipher: &Aes256, block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

/// Doubling in GF(2^128) as in CMAC (SP 800-38B section 6.1), in constant time.
pub(crate) fn dbl(block: [u8; 16]) -> [u8; 16] {
    let value = u128::from_be_bytes(block);
    let carry = (value >> 127).wrapping_neg() & 0x87;
    ((value << 1) ^ carry).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two vectors of the C2SP specification, XAES-256-GCM.md.
    #[test]
    fn published_vectors_match() {
        let nonce: [u8; 24] = *b"ABCDEFGHIJKLMNOPQRSTUVWX";
        let cases: [([u8; 32], &[u8], &str); 2] = [
            (
                [1; 32],
                b"",
                "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
            ),
            (
                [3; 32],
                b"c2sp.org/XAES-256-GCM",
                "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
            ),
        ];
        let mut ran = 0;
        for (key, aad, expected) in cases {
            let key = Key::new(&key);
            let mut buf = *b"XAES-256-GCM";
            let tag = key.seal_in_place(&nonce, aad, &mut buf);
            assert_eq!(hex::encode(buf) + &hex::encode(tag), expected);
            key.open_in_place(&nonce, aad, &mut buf, &tag).unwrap();
            assert_eq!(&buf, b"XAES-256-GCM");
            ran += 1;
        }
        assert_eq!(ran, 2);
    }

    #[test]
    fn doubling_carries_into_the_last_byte() {
        let mut block = [0; 16];
        block[0] = 0x80;
        let mut expected = [0; 16];
        expected[15] = 0x87;
        assert_eq!(dbl(block), expected);
    }
}
