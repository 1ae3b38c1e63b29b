//! What is looked for: keys, and what is derived from them as FORMAT.md says.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};
use zqlite::pq::epoch::EpochKeys;
use zqlite::pq::header::Header;
use zqlite::pq::label::{self, Label};
use zqlite::pq::slot::SlotKind;
use zqlite::pq::{Passphrase, RawKey, kdf, passphrase};

use crate::Kind;

/// Bytes to look for.
pub(crate) struct Needle {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Needle {
    fn new(name: &'static str, bytes: &[u8]) -> Self {
        // Two equal halves or a run of zeros would be found by chance.
        assert!(bytes.len() >= 16 && bytes.iter().any(|byte| *byte != bytes[0]));
        Self {
            name,
            bytes: bytes.to_vec(),
        }
    }
}

/// The key as it is given, and the key pair that it leads to.
pub(crate) fn of_key(kind: Kind, given: &[u8], secret: &[u8; 32], header: &Header) -> Vec<Needle> {
    let file_id = header.file_id().as_bytes();
    let seed = match (kind, header.slots()[0].kind()) {
        (Kind::Passphrase, SlotKind::Passphrase { salt, params }) => {
            let text = Passphrase::from_bytes(given.to_vec());
            *passphrase::seed(&text, &salt, params, file_id).unwrap()
        }
        (Kind::RawKey | Kind::Registered, _) => {
            *passphrase::raw_key_seed(&RawKey::from_bytes(*secret), file_id)
        }
        _ => *secret,
    };
    // X-Wing: 64 bytes are ML-KEM's seed d and z, 32 are X25519's scalar.
    let mut expanded = [0; 96];
    let mut hash = Shake256::default();
    hash.update(&seed);
    hash.finalize_xof().read(&mut expanded);
    vec![
        Needle::new("key", given),
        Needle::new("X-Wing seed", &seed),
        Needle::new("ML-KEM d", &expanded[..32]),
        Needle::new("ML-KEM z", &expanded[32..64]),
        Needle::new("X25519 scalar", &expanded[64..]),
    ]
}

/// The epoch key and what is derived from it.
pub(crate) fn of_epoch(keys: &EpochKeys, header: &Header) -> Vec<Needle> {
    let epoch_key = keys.expose_epoch_key().expose();
    let derived = |name, label: Label| {
        let key = kdf::hkdf_sha256(header.file_id().as_bytes(), epoch_key, label);
        Needle::new(name, key.as_slice())
    };
    vec![
        Needle::new("epoch key", epoch_key),
        derived("page key", label::PAGE_KEY),
        derived("table key", label::TABLE_KEY),
        derived("WAL mask key", label::WAL_MASK_KEY),
        derived("header MAC key", label::HEADER_MAC_KEY),
        derived("journal MAC key", label::JOURNAL_MAC_KEY),
    ]
}

/// The derived keys of the pages that are in the file: an expanded AES key begins with the key.
pub(crate) fn of_pages(keys: &EpochKeys, header: &Header, file: &[u8]) -> Vec<Needle> {
    let page_key = kdf::hkdf_sha256(
        header.file_id().as_bytes(),
        keys.expose_epoch_key().expose(),
        label::PAGE_KEY,
    );
    let cipher = Aes256::new((&*page_key).into());
    let encrypt = |block: [u8; 16]| {
        let mut block = block.into();
        cipher.encrypt_block(&mut block);
        <[u8; 16]>::from(block)
    };
    let k1 = u128::from_be_bytes(encrypt([0; 16]));
    let k1 = (k1 << 1) ^ ((k1 >> 127).wrapping_neg() & 0x87);
    let page_size = header.page_size().to_usize();
    file[131_072..]
        .chunks_exact(page_size)
        .map(|page| {
            let half = |counter| {
                let mut block = [0, counter, b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                block[4..].copy_from_slice(&page[page_size - 48..page_size - 36]);
                encrypt((u128::from_be_bytes(block) ^ k1).to_be_bytes())
            };
            Needle::new("derived page key", &[half(1), half(2)].concat())
        })
        .collect()
}
