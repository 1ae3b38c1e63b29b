//! A fixed file to attack, and edits as fuzz input: a header is 64 KiB, too much for a corpus.
#![allow(dead_code, reason = "each target uses a part")]

use core::convert::Infallible;
use std::sync::OnceLock;

use zqlite_pq::header::{EpochSet, Header, Keyring, NewHeader, NewSlot, SlotKey};
use zqlite_pq::page::PageSize;
use zqlite_pq::{Identity, RawKey, SigningKey};

/// SplitMix64: the same file in every run, but for the signature, which the backend hedges.
pub struct FixedRng(pub u64);

impl rand_core::TryRng for FixedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|wide| (wide >> 32) as u32)
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

impl rand_core::TryCryptoRng for FixedRng {}

pub struct File {
    pub header: Header,
    pub epochs: EpochSet,
    pub copy: Vec<u8>,
    pub keyring: Keyring,
}

pub fn identity() -> Identity {
    Identity::from_seed([1; 32])
}

/// A signed file with a recipient slot and a raw-key slot.
pub fn signed_file() -> &'static File {
    static FILE: OnceLock<File> = OnceLock::new();
    FILE.get_or_init(|| {
        let key = SigningKey::from_seed([7; 32]);
        file(Some(&key))
    })
}

/// The same, unsigned.
pub fn unsigned_file() -> &'static File {
    static FILE: OnceLock<File> = OnceLock::new();
    FILE.get_or_init(|| file(None))
}

fn file(signing_key: Option<&SigningKey>) -> File {
    let slots = vec![
        NewSlot {
            key: SlotKey::Recipient(identity().recipient()),
            label: "laptop".to_owned(),
        },
        NewSlot {
            key: SlotKey::RawKey(RawKey::from_bytes([2; 32])),
            label: String::new(),
        },
    ];
    let new = NewHeader {
        page_size: PageSize::default(),
        slots,
        signing_key,
    };
    let (header, epochs) = new.create(&mut FixedRng(1)).expect("the slots are valid");
    let copy = header.encode(epochs.newest());
    let mut keyring = Keyring::new();
    keyring.add_identity(identity());
    File {
        header,
        epochs,
        copy,
        keyring,
    }
}

/// Applies edits of five bytes each: offset u32, a byte to XOR.
pub fn edit(bytes: &mut [u8], edits: &[u8]) {
    for edit in edits.chunks_exact(5) {
        let offset = u32::from_be_bytes([edit[0], edit[1], edit[2], edit[3]]) as usize;
        let len = bytes.len();
        bytes[offset % len] ^= edit[4];
    }
}
