//! The mask of WAL salts and checksums, which are linear in the plaintext (FORMAT.md F-26).
//!
//! A mask hides; it authenticates nothing, and no promise rests on it.

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, KeyInit};

use crate::xaes::{dbl, encrypt};

/// XEX over one AES-256 block, tweaked by the block's offset in the WAL.
pub struct WalMask(Aes256);

impl core::fmt::Debug for WalMask {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("WalMask(<redacted>)")
    }
}

impl WalMask {
    /// Expands a 32-byte key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Aes256::new(key.into()))
    }

    /// Masks the 16 bytes that stand at `offset` of the WAL.
    #[must_use]
    pub fn mask(&self, offset: u64, block: [u8; 16]) -> [u8; 16] {
        let delta = self.delta(offset);
        xor(encrypt(&self.0, xor(block, delta)), delta)
    }

    /// Reverses [`WalMask::mask`].
    #[must_use]
    pub fn unmask(&self, offset: u64, block: [u8; 16]) -> [u8; 16] {
        let delta = self.delta(offset);
        let mut block = xor(block, delta).into();
        self.0.decrypt_block(&mut block);
        xor(block.into(), delta)
    }

    fn delta(&self, offset: u64) -> [u8; 16] {
        let mut tweak = [0; 16];
        let (head, _) = tweak.split_at_mut(8);
        head.copy_from_slice(&offset.to_be_bytes());
        dbl(encrypt(&self.0, tweak))
    }
}

fn xor(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
    (u128::from_be_bytes(a) ^ u128::from_be_bytes(b)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmasking_reverses_masking_and_depends_on_the_offset() {
        let mask = WalMask::new(&[7; 32]);
        let block = *b"0123456789abcdef";
        let masked = mask.mask(40, block);
        assert_ne!(masked, block);
        assert_eq!(mask.unmask(40, masked), block);
        assert_ne!(mask.unmask(64, masked), block);
        assert_ne!(mask.mask(64, block), masked);
    }
}
