//! What is watched.

use std::convert::Infallible;
use std::hint::black_box;

use zqlite_pq::epoch::{EpochKeys, FileId, same_mac};
use zqlite_pq::header::{self, Keyring, NewHeader, NewSlot, SlotKey};
use zqlite_pq::mlkem::DecapsulationKey;
use zqlite_pq::page::{PageContext, PageOpener, PageSealer, PageSize, Place, TRAILER_LEN};
use zqlite_pq::{EpochKey, Identity, RawKey, hazmat, label, mask, xaes};

use crate::watch::{Watch, public, secret};

const SEED: [u8; 32] = [1; 32];
const RAW_KEY: [u8; 32] = [2; 32];
const EPOCH_KEY: [u8; 32] = [3; 32];
const FILE_ID: FileId = FileId::from_bytes([4; 16]);
const PAGE: PageContext = PageContext {
    file_id: FILE_ID,
    number: 7,
    place: Place::Database,
};
/// Where the commitment stands in a header copy.
const COMMITMENT_AT: usize = 160;

/// What the check is for: both must be reported, or nothing below means anything.
pub fn leaks(watch: &mut Watch) {
    watch.leak("a comparison that stops at the first difference", || {
        let (a, b) = (secret([5; 32]), [5; 32]);
        for (a, b) in a.iter().zip(&b) {
            if black_box(a) != black_box(b) {
                println!("they differ");
                break;
            }
        }
    });
    watch.leak("a table that is looked up at a secret place", || {
        let table: Vec<u8> = (0..=255).rev().collect();
        let [at] = secret([9]);
        black_box(black_box(&table)[usize::from(black_box(at))]);
    });
}

pub fn mlkem(watch: &mut Watch) {
    let seed = [6; 64];
    let (good, _) = hazmat::encapsulate(
        &DecapsulationKey::from_seed(&seed).encapsulation_key(),
        &[7; 32],
    );
    let mut bad = good;
    bad[0] ^= 1;
    for (name, ciphertext) in [("as it was made", good), ("implicit rejection", bad)] {
        watch.secret(&format!("ML-KEM-768 decapsulation, {name}"), || {
            let key = DecapsulationKey::from_seed(&secret(seed));
            key.decapsulate(&ciphertext)
                .expect("the length is right")
                .expose()
                .to_vec()
        });
    }
}

pub fn xwing(watch: &mut Watch) {
    let (good, _) = hazmat::xwing_encapsulate(&Identity::from_seed(SEED).recipient(), &[7; 64])
        .expect("a good recipient");
    let mut bad = good;
    bad[0] ^= 1;
    for (name, ciphertext) in [("as it was made", good), ("altered", bad)] {
        watch.secret(&format!("X-Wing decapsulation, {name}"), || {
            let identity = Identity::from_seed(secret(SEED));
            hazmat::xwing_decapsulate(&identity, &ciphertext)
                .expect("the length is right")
                .expose()
                .to_vec()
        });
    }
}

/// A header for the identity of [`SEED`] and for [`RAW_KEY`].
fn header_copy() -> Vec<u8> {
    let slot = |key| NewSlot {
        key,
        label: String::new(),
    };
    let new = NewHeader {
        page_size: PageSize::default(),
        slots: vec![
            slot(SlotKey::Recipient(Identity::from_seed(SEED).recipient())),
            slot(SlotKey::RawKey(RawKey::from_bytes(RAW_KEY))),
        ],
        signing_key: None,
    };
    let (header, epochs) = new.create(&mut FixedRng(1)).expect("two good slots");
    header.encode(epochs.newest())
}

fn flipped(copy: &[u8], at: usize) -> Vec<u8> {
    let mut copy = copy.to_vec();
    copy[at] ^= 1;
    copy
}

pub fn slot(watch: &mut Watch) {
    let header = header::Header::decode(&header_copy()).expect("our own header");
    let slot = &header.slots()[0];
    watch.secret("a slot is unwrapped", || {
        let identity = Identity::from_seed(secret(SEED));
        slot.unwrap_key(&identity, header.file_id(), header.epoch())
            .expect("the slot is for this identity")
            .expose()
            .to_vec()
    });
    watch.verdict("a slot of another file is refused", false, || {
        let identity = Identity::from_seed(secret(SEED));
        slot.unwrap_key(&identity, &FILE_ID, header.epoch()).is_ok()
    });
}

pub fn header(watch: &mut Watch) {
    let copy = header_copy();
    let copies = [
        ("a header", true, copy.clone()),
        (
            "a header with another commitment",
            false,
            flipped(&copy, COMMITMENT_AT),
        ),
        (
            "a header with another MAC",
            false,
            flipped(&copy, copy.len() - 1),
        ),
    ];
    for (name, opens, copy) in &copies {
        watch.verdict(&format!("{name}, opened by an identity"), *opens, || {
            let mut keyring = Keyring::new();
            keyring.add_identity(Identity::from_seed(secret(SEED)));
            header::open(copy, copy, &keyring).is_ok()
        });
        watch.verdict(&format!("{name}, opened by a raw key"), *opens, || {
            let mut keyring = Keyring::new();
            keyring.add_raw_key(RawKey::from_bytes(secret(RAW_KEY)));
            header::open(copy, copy, &keyring).is_ok()
        });
        let mut keyring = Keyring::new();
        keyring.add_raw_key(RawKey::from_bytes(secret(RAW_KEY)));
        let known = header::open(&copies[0].2, &copies[0].2, &keyring)
            .expect("our own header")
            .epochs;
        watch.verdict(
            &format!("{name}, opened by a known epoch key"),
            *opens,
            || header::reopen(copy, copy, &known).is_ok(),
        );
    }
}

pub fn aead(watch: &mut Watch) {
    let (aad, nonce) = ([8; 20], [9; xaes::NONCE_LEN]);
    let mut sealed = [10; 100];
    let good = xaes::Key::new(&EPOCH_KEY).seal_in_place(&nonce, &aad, &mut sealed);
    let mut bad = good;
    bad[15] ^= 0x80;
    watch.secret("XAES-256-GCM seals", || {
        let mut buf = secret([10; 100]);
        let tag = xaes::Key::new(&secret(EPOCH_KEY)).seal_in_place(&nonce, &aad, &mut buf);
        [buf.as_slice(), &tag].concat()
    });
    watch.secret("XAES-256-GCM opens", || {
        let mut buf = sealed;
        let opened =
            xaes::Key::new(&secret(EPOCH_KEY)).open_in_place(&nonce, &aad, &mut buf, &good);
        assert!(public(opened.is_ok()));
        buf.to_vec()
    });
    watch.verdict("XAES-256-GCM refuses another tag", false, || {
        let mut buf = sealed;
        xaes::Key::new(&secret(EPOCH_KEY))
            .open_in_place(&nonce, &aad, &mut buf, &bad)
            .is_ok()
    });
}

pub fn pages(watch: &mut Watch) {
    let keys = |key| EpochKeys::derive(&FILE_ID, EpochKey::from_bytes(key), 1);
    let plain = || {
        let mut page = vec![11; 4_096];
        page[4_096 - TRAILER_LEN..].fill(0);
        page
    };
    let mut sealed = plain();
    PageSealer::new(&keys(EPOCH_KEY), &[12; 24])
        .seal(&PAGE, &mut sealed)
        .expect("a page");
    watch.secret("a page is sealed", || {
        let mut page = plain();
        page[..32].copy_from_slice(&secret([13; 32]));
        PageSealer::new(&keys(secret(EPOCH_KEY)), &[12; 24])
            .seal(&PAGE, &mut page)
            .expect("a page");
        page
    });
    watch.secret("a page is opened", || {
        let mut page = sealed.clone();
        let opened = PageOpener::new().open(&keys(secret(EPOCH_KEY)), &PAGE, &mut page);
        assert!(public(opened.is_ok()));
        page
    });
    watch.secret("a page is opened into another buffer", || {
        let mut page = vec![0; 4_096];
        let opened = PageOpener::new().open_to(&keys(secret(EPOCH_KEY)), &PAGE, &sealed, &mut page);
        assert!(public(opened.is_ok()));
        page
    });
    for at in [0, 4_095] {
        let mut page = flipped(&sealed, at);
        watch.verdict(
            &format!("a page with another byte {at} is refused"),
            false,
            || {
                PageOpener::new()
                    .open(&keys(secret(EPOCH_KEY)), &PAGE, &mut page)
                    .is_ok()
            },
        );
        let (stored, mut page) = (flipped(&sealed, at), vec![0; 4_096]);
        watch.verdict(
            &format!("a page with another byte {at} is not opened into another buffer"),
            false,
            || {
                PageOpener::new()
                    .open_to(&keys(secret(EPOCH_KEY)), &PAGE, &stored, &mut page)
                    .is_ok()
            },
        );
    }
}

pub fn journal(watch: &mut Watch) {
    let keys = |key| EpochKeys::derive(&FILE_ID, EpochKey::from_bytes(key), 1);
    let parts: [&[u8]; 2] = [&[14; 28], &[15; 16]];
    let good = keys(EPOCH_KEY).journal_mac(label::JOURNAL_HEADER_MAC, &parts);
    let mut bad = good;
    bad[31] ^= 1;
    for (name, mac, fits) in [("right", good, true), ("wrong", bad, false)] {
        watch.verdict(&format!("a journal's MAC is {name}"), fits, || {
            let computed = keys(secret(EPOCH_KEY)).journal_mac(label::JOURNAL_HEADER_MAC, &parts);
            same_mac(&computed, &mac)
        });
    }
}

pub fn wal_mask(watch: &mut Watch) {
    watch.secret("a WAL block is masked", || {
        mask::WalMask::new(&secret(EPOCH_KEY))
            .mask(24, [16; 16])
            .to_vec()
    });
    watch.secret("a WAL block is unmasked", || {
        mask::WalMask::new(&secret(EPOCH_KEY))
            .unmask(24, [16; 16])
            .to_vec()
    });
}

/// Counts: the same header in every run.
struct FixedRng(u8);

impl rand_core::TryRng for FixedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for FixedRng {}
