//! A sealed page opens as the page that was sealed, in its place, or not at all.
//!
//! Input: size (1 byte), page number (4), place (1 + 24), seed of the contents (1), bytes to XOR into
//! number and place (1 + 28), then edits of the sealed page.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zqlite_pq::epoch::FileId;
use zqlite_pq::page::{PageContext, PageOpener, PageSealer, Place, TRAILER_LEN};

mod fixture;

use fixture::{FixedRng, edit, unsigned_file};
use rand_core::Rng;

const CONTEXT_LEN: usize = 29;

fuzz_target!(|data: &[u8]| {
    let Some((setup, rest)) = data.split_first_chunk::<{ 2 + CONTEXT_LEN }>() else {
        return;
    };
    let Some((changes, edits)) = rest.split_first_chunk::<{ CONTEXT_LEN + 1 }>() else {
        return;
    };
    let (size, seed) = (4_096usize << (setup[0] % 5), setup[1]);
    let mut where_sealed = [0; CONTEXT_LEN];
    where_sealed.copy_from_slice(&setup[2..]);
    let mut where_opened = where_sealed;
    where_opened
        .iter_mut()
        .zip(changes)
        .for_each(|(to, x)| *to ^= x);
    let file = unsigned_file();
    let keys = file.epochs.newest();
    let sealed_as = context(*file.header.file_id(), &where_sealed);
    let mut id = *file.header.file_id().as_bytes();
    id[usize::from(seed) % 16] ^= changes[CONTEXT_LEN];
    let opened_as = context(FileId::from_bytes(id), &where_opened);

    let mut plain = vec![0; size];
    let mut rng = FixedRng(u64::from(seed));
    rng.fill_bytes(&mut plain[..size - TRAILER_LEN]);
    let mut fresh = [0xff; 24];
    rng.fill_bytes(&mut fresh[..12 + usize::from(seed) % 13]);
    let mut sealer = PageSealer::new(keys, &fresh);
    let mut sealed = plain.clone();
    sealer
        .seal(&sealed_as, &mut sealed)
        .expect("the page may be sealed");
    assert_ne!(sealed[..size - TRAILER_LEN], plain[..size - TRAILER_LEN]);

    let mut page = sealed.clone();
    edit(&mut page, edits);
    let same_place = sealed_as.associated_data(1) == opened_as.associated_data(1);
    let unchanged = page == sealed && same_place;
    let mut opener = PageOpener::new();
    let opened = opener.open(keys, &opened_as, &mut page);
    assert_eq!(opened.is_ok(), unchanged);
    if opened.is_ok() {
        assert_eq!(page, plain);
    } else {
        assert!(page.iter().all(|byte| *byte == 0));
    }
    // The cache of derived keys changes nothing.
    opener
        .open(keys, &sealed_as, &mut sealed)
        .expect("the sealed page opens");
    assert_eq!(sealed, plain);
});

fn context(file_id: FileId, bytes: &[u8; CONTEXT_LEN]) -> PageContext {
    let [n0, n1, n2, n3, kind, rest @ ..] = *bytes;
    let word = |at: usize| u32::from_be_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
    let offset = u64::from(word(0)) << 32 | u64::from(word(4));
    let place = match kind % 3 {
        0 => Place::Database,
        1 => {
            let mut salts = [0; 8];
            salts.copy_from_slice(&rest[12..20]);
            Place::Wal {
                frame_offset: offset,
                commit_size: word(8),
                salts,
            }
        }
        _ => {
            let mut id = [0; 16];
            id.copy_from_slice(&rest[8..24]);
            Place::Journal {
                record_offset: offset,
                id,
            }
        }
    };
    PageContext {
        file_id,
        number: u32::from_be_bytes([n0, n1, n2, n3]),
        place,
    }
}
