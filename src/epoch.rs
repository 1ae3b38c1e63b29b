//! What is derived from the key of one epoch (FORMAT.md section 4).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::label::{self, Label};
use crate::mask::WalMask;
use crate::secret::{EpochKey, STACK_OF_A_DERIVATION, wiping_the_stack};
use crate::{kdf, xaes};

/// The 16 random bytes that identify a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId([u8; Self::LEN]);

impl FileId {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Draws a fresh id.
    #[must_use]
    pub fn generate(rng: &mut impl rand_core::CryptoRng) -> Self {
        let mut id = [0; Self::LEN];
        rng.fill_bytes(&mut id);
        Self(id)
    }

    /// Takes 16 bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl core::fmt::Display for FileId {
    /// 32 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl core::fmt::Debug for FileId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FileId({self})")
    }
}

/// Text that is not a file id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a file id has 32 hexadecimal digits")]
pub struct FileIdError;

impl core::str::FromStr for FileId {
    type Err = FileIdError;

    fn from_str(text: &str) -> Result<Self, FileIdError> {
        if text.len() != 2 * Self::LEN || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(FileIdError);
        }
        let value = u128::from_str_radix(text, 16).map_err(|_| FileIdError)?;
        Ok(Self(value.to_be_bytes()))
    }
}

/// The keys of one epoch.
pub struct EpochKeys {
    epoch: u32,
    epoch_key: EpochKey,
    commitment: [u8; 32],
    header_mac_key: Zeroizing<[u8; 32]>,
    journal_mac_key: Zeroizing<[u8; 32]>,
    page: xaes::Key,
    table: xaes::Key,
    wal_mask: WalMask,
}

impl core::fmt::Debug for EpochKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EpochKeys")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl EpochKeys {
    /// Derives everything from an epoch key, with the file id as salt.
    #[must_use]
    pub fn derive(file_id: &FileId, epoch_key: EpochKey, epoch: u32) -> Self {
        let prk = Hkdf::<Sha256>::new(Some(file_id.as_bytes()), epoch_key.expose());
        let key = |label: Label| kdf::expand(&prk, label);
        Self {
            epoch,
            commitment: *key(label::COMMITMENT),
            header_mac_key: key(label::HEADER_MAC_KEY),
            journal_mac_key: key(label::JOURNAL_MAC_KEY),
            page: xaes::Key::new(&key(label::PAGE_KEY)),
            table: xaes::Key::new(&key(label::TABLE_KEY)),
            wal_mask: WalMask::new(&key(label::WAL_MASK_KEY)),
            epoch_key,
        }
    }

    /// The epoch's number.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The key that everything is derived from. Every use of this accessor is a place to review.
    #[must_use]
    pub const fn expose_epoch_key(&self) -> &EpochKey {
        &self.epoch_key
    }

    /// The public commitment to the epoch key (32 bytes).
    #[must_use]
    pub const fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// The page key.
    #[must_use]
    pub const fn page_key(&self) -> &xaes::Key {
        &self.page
    }

    /// The key of slot details and older epoch keys.
    #[must_use]
    pub const fn table_key(&self) -> &xaes::Key {
        &self.table
    }

    /// The mask of WAL salts and checksums.
    #[must_use]
    pub const fn wal_mask(&self) -> &WalMask {
        &self.wal_mask
    }

    /// HMAC-SHA256 under the header MAC key, started.
    #[must_use]
    pub fn header_mac(&self) -> Hmac<Sha256> {
        hmac(&self.header_mac_key)
    }

    /// HMAC-SHA256 under the header MAC key over the epoch that follows this one: `label ‖ 0x00 ‖ file id ‖ u32 this
    /// epoch ‖ u32 newest epoch ‖ its commitment`.
    #[must_use]
    pub fn succession_mac(&self, file_id: &FileId, newest: u32, commitment: &[u8; 32]) -> [u8; 32] {
        wiping_the_stack::<STACK_OF_A_DERIVATION, _>(|| {
            let mut mac = self.header_mac();
            mac.update(label::SUCCESSION_MAC.as_bytes());
            mac.update(&[0]);
            mac.update(file_id.as_bytes());
            mac.update(&self.epoch.to_be_bytes());
            mac.update(&newest.to_be_bytes());
            mac.update(commitment);
            mac.finalize().into_bytes().into()
        })
    }

    /// HMAC-SHA256 over a rollback journal's header or trailer: `label ‖ 0x00 ‖ parts`.
    #[must_use]
    pub fn journal_mac(&self, label: Label, parts: &[&[u8]]) -> [u8; 32] {
        wiping_the_stack::<STACK_OF_A_DERIVATION, _>(|| {
            let mut mac = hmac(&self.journal_mac_key);
            mac.update(label.as_bytes());
            mac.update(&[0]);
            for part in parts {
                mac.update(part);
            }
            mac.finalize().into_bytes().into()
        })
    }
}

/// Whether two MACs are the same, in constant time.
#[must_use]
pub fn same_mac(computed: &[u8; 32], found: &[u8; 32]) -> bool {
    computed.ct_eq(found).into()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn hmac(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes every key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_purpose_file_and_epoch_key() {
        let keys = |id: u8, key: u8| {
            EpochKeys::derive(&FileId([id; 16]), EpochKey::from_bytes([key; 32]), 1)
        };
        let (a, b, c) = (keys(1, 1), keys(2, 1), keys(1, 2));
        assert_ne!(a.commitment(), b.commitment());
        assert_ne!(a.commitment(), c.commitment());
        assert_ne!(&*a.header_mac_key, &*a.journal_mac_key);
        assert_ne!(&*a.header_mac_key, a.commitment());
    }

    #[test]
    fn a_file_id_reads_back_from_its_text() {
        let id = FileId([0xa5; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("a5".parse::<FileId>(), Err(FileIdError));
        assert_eq!(
            "+5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5".parse::<FileId>(),
            Err(FileIdError)
        );
    }
}
