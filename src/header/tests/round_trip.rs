//! What is written reads back, and stands where FORMAT.md says.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;

#[test]
fn a_new_header_decodes_to_itself() {
    for file in [TestFile::unsigned(1), TestFile::signed(2)] {
        assert_eq!(file.copy.len(), COPY_LEN);
        assert_eq!(Header::decode(&file.copy), Ok(file.header.clone()));
    }
}

/// Without any cryptography: Miri runs this one.
#[test]
fn made_up_slots_and_headers_decode_to_themselves() {
    let mut bytes = [0x5a; SLOT_LEN];
    bytes[..4].copy_from_slice(&[0, 1, 0, 0]);
    bytes[1_176..1_208].fill(0);
    let slot = Slot::decode(&bytes).unwrap();
    assert_eq!(slot.encode(), bytes);
    let header = Header {
        file_id: FileId::from_bytes([1; 16]),
        page_size: PageSize::default(),
        generation: 2,
        revision: 3,
        populated: true,
        epoch: 4,
        commitment: [5; 32],
        min_epoch: 4,
        rekey_next_page: 0,
        slots: vec![slot.clone(), slot],
        signer: None,
        older: Vec::new(),
        predecessors: Vec::new(),
    };
    let mut copy = header.authenticated_bytes();
    copy.extend_from_slice(&[0; MAC_LEN]);
    assert_eq!(copy.len(), COPY_LEN);
    assert_eq!(Header::decode(&copy), Ok(header));
    copy[130] ^= 1;
    assert!(Header::decode(&copy).is_ok(), "the file id may be anything");
    copy[20] ^= 1;
    assert!(Header::decode(&copy).is_err(), "the length may not");
}

#[test]
fn an_opened_header_encodes_to_the_bytes_that_were_read() {
    let file = TestFile::signed(1);
    for copy in [file.copy.clone(), file.updated()] {
        let opened = open(&copy, &copy, &keyring(1)).unwrap();
        assert_eq!(opened.header.encode(opened.epochs.newest()), copy);
    }
}

#[test]
fn fields_stand_where_the_format_says() {
    let file = TestFile::signed(1).next_epoch(5, &[(1, "one")]);
    let mut header = file.header.clone();
    header.set_populated();
    header.rekey_next_page = 0x0102_0304;
    let copy = header.encode(file.epochs.newest());
    assert_eq!(copy[..16], *b"zqlite sealed\r\n\x1a");
    assert_eq!(copy[16..20], [0, 1, 0, 1]);
    assert_eq!(copy[20..24], (2_024u32 + 2_528).to_be_bytes());
    assert_eq!(copy[24..32], 2u64.to_be_bytes());
    assert_eq!(copy[32..36], 1u32.to_be_bytes());
    assert_eq!(copy[36..40], 1u32.to_be_bytes());
    assert_eq!(copy[40..44], [1, 2, 3, 4]);
    assert_eq!(copy[44..46], [0, 1]);
    assert_eq!(copy[46..128], [0; 82]);
    assert_eq!(copy[128..144], *header.file_id.as_bytes());
    assert_eq!(copy[144..148], 4_096u32.to_be_bytes());
    assert_eq!(copy[148..156], 2u64.to_be_bytes());
    assert_eq!(copy[156..160], 2u32.to_be_bytes());
    assert_eq!(copy[160..192], header.commitment);
    assert_eq!(copy[192..200], [0, 1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(copy[200..2_152], *signing_key(1).verifying_key().as_bytes());
    assert_eq!(copy[2_152..4_680], header.slots[0].encode());
    let signer = header.signer.as_ref().unwrap();
    assert_eq!(copy[4_680..7_989], *signer.signature.as_bytes());
    assert_eq!(copy[7_989..63_776], vec![0; 63_776 - 7_989]);
    assert_eq!(copy[63_776..63_780], 1u32.to_be_bytes());
    assert_eq!(copy[63_780..63_812], *header.older[0].commitment());
    assert_eq!(copy[63_884..65_504], vec![0; 15 * 108]);
}

#[test]
fn the_mac_is_that_of_the_format() {
    let file = TestFile::unsigned(1);
    let key = crate::kdf::hkdf_sha256(
        file.header.file_id.as_bytes(),
        file.epochs.newest().expose_epoch_key().expose(),
        label::HEADER_MAC_KEY,
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_ref()).unwrap();
    mac.update(b"zqlite/v1/mac/header\0");
    mac.update(&file.copy[..65_504]);
    mac.verify_slice(&file.copy[65_504..]).unwrap();
}

#[test]
fn every_kind_of_key_opens_its_own_slot() {
    let slots = vec![recipient(1, "one"), passphrase("correct horse"), raw_key(3)];
    let file = TestFile::new(1, slots, None);
    let rings = [
        keyring(1),
        with_passphrase("correct horse"),
        with_raw_key(3),
    ];
    for (slot, ring) in rings.iter().enumerate() {
        let opened = open(&file.copy, &file.copy, ring).unwrap();
        assert_eq!(opened.slot, Some(slot));
        assert_eq!(opened.slot_kind(), Some(file.header.slots()[slot].kind()));
        assert_eq!(opened.header, file.header);
        assert_eq!(
            opened.epochs.newest().commitment(),
            file.epochs.newest().commitment()
        );
        assert!(opened.is_healthy());
    }
}

#[test]
fn older_epochs_open_from_the_table() {
    let mut file = TestFile::unsigned(1);
    let mut commitments = vec![*file.epochs.newest().commitment()];
    for seed in 0..16 {
        file = file.next_epoch(seed + 10, &[(1, "one")]);
        commitments.insert(0, *file.epochs.newest().commitment());
    }
    let opened = open(&file.copy, &file.copy, &keyring(1)).unwrap();
    assert_eq!(opened.header.older_epochs().len(), MAX_OLDER_EPOCHS);
    let found: Vec<_> = opened
        .epochs
        .iter()
        .map(|keys| *keys.commitment())
        .collect();
    assert_eq!(found, commitments);
    let numbers: Vec<_> = opened.epochs.iter().map(EpochKeys::epoch).collect();
    assert_eq!(numbers, (1..=17).rev().collect::<Vec<_>>());
    assert_eq!(opened.epochs.get(3).map(EpochKeys::epoch), Some(3));
    assert!(opened.epochs.get(18).is_none());
    assert_eq!(Header::decode(&file.copy), Ok(file.header));
}

#[test]
fn the_last_revision_is_not_raised() {
    let mut header = TestFile::unsigned(1).header;
    header.revision = u64::MAX - 1;
    assert_eq!(header.next_revision(), Ok(()));
    assert_eq!(header.next_revision(), Err(Overflow));
    assert_eq!(header.revision(), u64::MAX);
}

#[test]
#[should_panic(expected = "the keys are those of the header's newest epoch")]
fn a_header_is_not_written_under_keys_that_are_not_its_own() {
    let other = TestFile::unsigned(2);
    drop(TestFile::unsigned(1).header.encode(other.epochs.newest()));
}

#[test]
fn a_stamp_is_read_from_the_first_160_bytes() {
    let file = TestFile::unsigned(1);
    assert_eq!(stamp(&file.copy[..160]), Some(file.header.stamp()));
    assert_eq!(stamp(&file.copy[..159]), None);
    assert_eq!(stamp(&edited(&file.copy, 0, b"Z")), None);
    assert_eq!(stamp(&edited(&file.copy, 16, &[0, 2])), None);
    let stamp = |generation, revision| Stamp {
        generation,
        revision,
    };
    assert!(stamp(2, 1) > stamp(1, 9));
    assert!(stamp(2, 2) > stamp(2, 1));
}

#[test]
fn an_epoch_vouches_for_the_one_that_follows_it_and_no_other_does() {
    let file = TestFile::unsigned(1);
    let opened = |copy: &[u8]| open(copy, copy, &keyring(1)).unwrap();
    let first = opened(&file.copy);
    let (next, epochs) = first.new_epoch(|_| true, None, &mut TestRng(2)).unwrap();
    let copy = next.encode(epochs.newest());
    let second = opened(&copy);
    assert!(second.header.continues(&second.epochs, &first.epochs));
    let (ended, keys) = second.drop_older_epochs().unwrap();
    let copy = ended.encode(keys.newest());
    // Where the format says.
    assert_eq!(copy[63_164..63_168], [0, 0, 0, 1]);
    let third = opened(&copy);
    assert!(third.epochs.get(1).is_none());
    assert!(third.header.continues(&third.epochs, &first.epochs));
    assert!(third.header.continues(&third.epochs, &third.epochs));
    // A header that somebody without the key makes for a known recipient does not continue it.
    let forged = TestFile::unsigned(7).next_epoch(8, &[(1, "one")]);
    let forged = Header {
        file_id: *first.header.file_id(),
        ..forged.header
    };
    assert!(!forged.continues(&third.epochs, &first.epochs) || third.epochs.get(1).is_some());
    let mut altered = ended;
    altered.predecessors.clear();
    assert!(!altered.continues(&third.epochs, &first.epochs));
    // After one more rekey the first key says nothing any more.
    let (next, epochs) = third.new_epoch(|_| true, None, &mut TestRng(3)).unwrap();
    let fourth = opened(&next.encode(epochs.newest()));
    assert!(fourth.header.continues(&fourth.epochs, &third.epochs));
    assert!(!fourth.header.continues(&fourth.epochs, &first.epochs));
}
