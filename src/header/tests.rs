//! A file to attack, and what the attacks below share.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

use super::*;
use crate::passphrase::Argon2Params;
use crate::slot::{SLOT_LEN, SlotKind, SlotLabel};
use crate::{EpochKey, Identity, Passphrase, RawKey, SigningKey};

mod bad_copy;
mod choice;
mod forgery;
mod new_file;
mod round_trip;
mod trust;
mod updates;

const BODY: usize = PREFIX_LEN;
const SLOTS: usize = BODY + 2_024;
const TABLE: usize = 63_776;

/// `SplitMix64`: the same file in every run.
pub(crate) struct TestRng(pub(crate) u64);

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64()
            .map(|wide| u32::try_from(wide >> 32).unwrap())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_be_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

/// A new file with its keys and the bytes of a copy.
struct TestFile {
    header: Header,
    epochs: EpochSet,
    copy: Vec<u8>,
}

impl TestFile {
    fn new(seed: u64, slots: Vec<NewSlot>, signing_key: Option<&SigningKey>) -> Self {
        let new = NewHeader {
            page_size: PageSize::default(),
            slots,
            signing_key,
        };
        let (header, epochs) = new.create(&mut TestRng(seed)).unwrap();
        let copy = header.encode(epochs.newest());
        Self {
            header,
            epochs,
            copy,
        }
    }

    /// Slots: identities 1 and 2, a raw key; unsigned.
    fn unsigned(seed: u64) -> Self {
        Self::new(
            seed,
            vec![recipient(1, "one"), recipient(2, "two"), raw_key(3)],
            None,
        )
    }

    /// The same, signed by signer 1.
    fn signed(seed: u64) -> Self {
        let slots = vec![recipient(1, "one"), recipient(2, "two"), raw_key(3)];
        Self::new(seed, slots, Some(&signing_key(1)))
    }

    /// A copy of the next revision, as a writer would leave it.
    fn updated(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        header.next_revision().unwrap();
        header.set_populated();
        header.encode(self.epochs.newest())
    }

    /// The same file, its owner's act being a new epoch for `slots`.
    fn next_epoch(&self, seed: u64, slots: &[(u8, &str)]) -> Self {
        let mut rng = TestRng(seed);
        let file_id = self.header.file_id;
        let epoch = self.header.epoch + 1;
        let newest = EpochKeys::derive(&file_id, EpochKey::generate(&mut rng), epoch);
        let older = self
            .epochs
            .iter()
            .map(|keys| OlderEpoch::seal(keys, &newest, &file_id, &mut rng))
            .collect();
        let slots = slots
            .iter()
            .map(|(n, label)| {
                let label = SlotLabel::new((*label).to_owned()).unwrap();
                let to = identity(*n).recipient();
                Slot::seal(
                    SlotKind::Recipient,
                    &to,
                    &label,
                    &file_id,
                    &newest,
                    &mut rng,
                )
            })
            .collect();
        let header = Header {
            generation: self.header.generation + 1,
            revision: self.header.revision + 1,
            epoch,
            commitment: *newest.commitment(),
            slots,
            older,
            ..self.header.clone()
        };
        let copy = header.encode(&newest);
        let newest = std::sync::Arc::new(newest);
        let epochs = EpochSet::load(&header, newest, None).unwrap();
        Self {
            header,
            epochs,
            copy,
        }
    }
}

fn identity(n: u8) -> Identity {
    Identity::from_seed([n; 32])
}

fn signing_key(n: u8) -> SigningKey {
    SigningKey::from_seed([n; 32])
}

fn recipient(n: u8, label: &str) -> NewSlot {
    NewSlot {
        key: SlotKey::Recipient(identity(n).recipient()),
        label: label.to_owned(),
    }
}

fn raw_key(n: u8) -> NewSlot {
    NewSlot {
        key: SlotKey::RawKey(RawKey::from_bytes([n; 32])),
        label: "raw".to_owned(),
    }
}

fn passphrase(text: &str) -> NewSlot {
    let key = SlotKey::Passphrase(secret(text), Argon2Params::MIN);
    NewSlot {
        key,
        label: "spoken".to_owned(),
    }
}

fn secret(text: &str) -> Passphrase {
    Passphrase::from_bytes(text.as_bytes().to_vec())
}

fn keyring(n: u8) -> Keyring {
    let mut keyring = Keyring::new();
    keyring.add_identity(identity(n));
    keyring
}

fn with_raw_key(n: u8) -> Keyring {
    let mut keyring = Keyring::new();
    keyring.add_raw_key(RawKey::from_bytes([n; 32]));
    keyring
}

fn with_passphrase(text: &str) -> Keyring {
    let mut keyring = Keyring::new();
    keyring.add_passphrase(secret(text));
    keyring
}

fn edited(copy: &[u8], offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut copy = copy.to_vec();
    copy[offset..offset + bytes.len()].copy_from_slice(bytes);
    copy
}

/// Puts a right MAC under bytes that a key holder has changed.
fn with_mac(mut copy: Vec<u8>, keys: &EpochKeys) -> Vec<u8> {
    let covered = COPY_LEN - MAC_LEN;
    let mac = mac(&copy[..covered], keys);
    copy[covered..].copy_from_slice(&mac);
    copy
}

/// Where slot `index` begins in a copy.
const fn slot_at(index: usize) -> usize {
    SLOTS + index * SLOT_LEN
}
