use super::*;
use crate::secret::EpochKey;

fn keys(epoch: u32) -> EpochKeys {
    EpochKeys::derive(
        &FileId::from_bytes([1; 16]),
        EpochKey::from_bytes([2; 32]),
        epoch,
    )
}

fn context(number: u32, place: Place) -> PageContext {
    PageContext {
        file_id: FileId::from_bytes([1; 16]),
        number,
        place,
    }
}

fn plain(len: usize) -> Vec<u8> {
    let mut page: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
    page[len - TRAILER_LEN..].fill(0);
    page
}

const PLACES: [Place; 3] = [
    Place::Database,
    Place::Wal {
        frame_offset: 32,
        commit_size: 7,
        salts: [5; 8],
    },
    Place::Journal {
        record_offset: 512,
        id: [6; 16],
    },
];

#[test]
fn pages_of_every_size_and_place_open_as_they_were_sealed() {
    let keys = keys(3);
    let mut sealer = PageSealer::new(&keys, &[0xff; 24]);
    let mut opener = PageOpener::new();
    let mut ran = 0;
    for size in [4_096, 8_192, 16_384, 32_768, 65_536] {
        for place in PLACES {
            let mut page = plain(size);
            sealer.seal(&context(9, place), &mut page).unwrap();
            assert_ne!(page[..64], plain(size)[..64]);
            assert_eq!(Trailer::decode(&page).unwrap().epoch, 3);
            let mut copy = vec![7; size];
            opener
                .open_to(&keys, &context(9, place), &page, &mut copy)
                .unwrap();
            assert_eq!(copy, plain(size));
            opener.open(&keys, &context(9, place), &mut page).unwrap();
            assert_eq!(page, plain(size));
            ran += 1;
        }
    }
    assert_eq!(ran, 15);
}

#[test]
fn the_nonce_counts_up_from_the_base_and_wraps() {
    let keys = keys(1);
    let mut sealer = PageSealer::new(&keys, &[0xff; 24]);
    let mut nonces = Vec::new();
    for _ in 0..3 {
        let mut page = plain(4_096);
        sealer
            .seal(&context(1, Place::Database), &mut page)
            .unwrap();
        nonces.push(Trailer::decode(&page).unwrap().nonce);
    }
    assert_eq!(nonces[0], [0xff; 24]);
    assert_eq!(nonces[1][..12], [0xff; 12]);
    assert_eq!(nonces[1][12..], [0; 12]);
    assert_eq!(nonces[2][23], 1);
}

#[test]
fn a_batch_ends_after_1024_seals() {
    let keys = keys(1);
    let mut sealer = PageSealer::new(&keys, &[7; 24]);
    for _ in 0..SEALS_PER_BATCH {
        assert!(!sealer.is_exhausted());
        sealer
            .seal(&context(1, Place::Database), &mut plain(4_096))
            .unwrap();
    }
    assert!(sealer.is_exhausted());
    let mut page = plain(4_096);
    assert_eq!(
        sealer.seal(&context(1, Place::Database), &mut page),
        Err(SealError::BatchExhausted)
    );
    assert_eq!(page, plain(4_096));
}

#[test]
fn reserved_bytes_in_use_and_odd_lengths_are_refused() {
    let keys = keys(1);
    let mut sealer = PageSealer::new(&keys, &[7; 24]);
    let mut page = plain(4_096);
    page[4_095] = 1;
    let place = context(1, Place::Database);
    assert_eq!(
        sealer.seal(&place, &mut page),
        Err(SealError::ReservedBytesInUse)
    );
    for len in [0, 47, 48, 512, 4_095, 6_144, 131_072] {
        assert_eq!(
            sealer.seal(&place, &mut vec![0; len]),
            Err(SealError::Length)
        );
    }
}

#[test]
fn a_page_opens_nowhere_else() {
    let right = keys(2);
    let mut sealer = PageSealer::new(&right, &[7; 24]);
    let home = context(
        5,
        Place::Wal {
            frame_offset: 32,
            commit_size: 7,
            salts: [5; 8],
        },
    );
    let mut sealed = plain(4_096);
    sealer.seal(&home, &mut sealed).unwrap();
    let mut opener = PageOpener::new();

    let mut others = vec![
        context(6, home.place),
        context(5, Place::Database),
        context(
            5,
            Place::Journal {
                record_offset: 32,
                id: [5; 16],
            },
        ),
        context(
            5,
            Place::Wal {
                frame_offset: 4_152,
                commit_size: 7,
                salts: [5; 8],
            },
        ),
        context(
            5,
            Place::Wal {
                frame_offset: 32,
                commit_size: 0,
                salts: [5; 8],
            },
        ),
        context(
            5,
            Place::Wal {
                frame_offset: 32,
                commit_size: 7,
                salts: [4; 8],
            },
        ),
    ];
    others.push(PageContext {
        file_id: FileId::from_bytes([9; 16]),
        ..home
    });
    for other in &others {
        let mut page = sealed.clone();
        assert_eq!(
            opener.open(&right, other, &mut page),
            Err(OpenError),
            "{other:?}"
        );
        assert!(page.iter().all(|&b| b == 0));
    }
    assert_eq!(others.len(), 7);

    let mut page = sealed.clone();
    assert_eq!(opener.open(&keys(3), &home, &mut page), Err(OpenError));
    let mut page = sealed.clone();
    opener.open(&right, &home, &mut page).unwrap();
    assert_eq!(page, plain(4_096));
}

#[test]
fn every_flipped_bit_of_a_stored_page_is_noticed() {
    let keys = keys(1);
    let mut sealer = PageSealer::new(&keys, &[7; 24]);
    let home = context(5, Place::Database);
    let mut sealed = plain(4_096);
    sealer.seal(&home, &mut sealed).unwrap();
    let mut opener = PageOpener::new();
    for at in 0..4_096 {
        let mut page = sealed.clone();
        page[at] ^= 1 << (at % 8);
        let mut copy = vec![7; page.len()];
        assert_eq!(
            opener.open_to(&keys, &home, &page, &mut copy),
            Err(OpenError),
            "byte {at}"
        );
        assert!(copy.iter().all(|&byte| byte == 0));
        assert_eq!(
            opener.open(&keys, &home, &mut page),
            Err(OpenError),
            "byte {at}"
        );
    }
    opener.open(&keys, &home, &mut sealed).unwrap();
    assert_eq!(sealed, plain(4_096));
}

#[test]
fn an_all_zero_page_is_not_valid() {
    let mut page = vec![0; 4_096];
    let home = context(1, Place::Database);
    assert_eq!(
        PageOpener::new().open(&keys(0), &home, &mut page),
        Err(OpenError)
    );
}

#[test]
fn keys_beyond_the_cache_are_derived_again() {
    let keys = keys(1);
    let home = context(1, Place::Database);
    let mut opener = PageOpener::new();
    let mut pages = Vec::new();
    for i in 0..2 * OPENER_CACHE_LEN {
        let mut fresh = [0; 24];
        fresh[..8].copy_from_slice(&u64::try_from(i).unwrap().to_le_bytes());
        let mut page = plain(4_096);
        PageSealer::new(&keys, &fresh)
            .seal(&home, &mut page)
            .unwrap();
        pages.push(page);
    }
    for _ in 0..2 {
        for page in &pages {
            let mut page = page.clone();
            opener.open(&keys, &home, &mut page).unwrap();
            assert_eq!(page, plain(4_096));
        }
    }
    assert_eq!(opener.derived.len(), OPENER_CACHE_LEN);
}
