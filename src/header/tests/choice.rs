//! Which copy counts (F-9): destroyed, torn, older and conflicting copies.

use super::*;

const OTHER_SLOT: usize = 1;

#[test]
fn a_destroyed_copy_leaves_the_other_one() {
    let file = TestFile::signed(1);
    let good = &file.copy;
    let ruins = [
        (vec![0; COPY_LEN], DecodeError::NotSealed),
        (vec![0xff; COPY_LEN], DecodeError::NotSealed),
        (Vec::new(), DecodeError::Truncated { found_len: 0 }),
        (
            good[..4_096].to_vec(),
            DecodeError::Truncated { found_len: 4_096 },
        ),
        (
            edited(good, 16, &[0, 9]),
            DecodeError::VersionUnsupported { found: 9 },
        ),
        (
            edited(good, 18, &[0, 9]),
            DecodeError::SuiteUnsupported { found: 9 },
        ),
        (
            edited(good, 46, &[1]),
            DecodeError::Malformed(Field::PrefixZero),
        ),
    ];
    for (ruin, error) in ruins {
        let damaged = CopyState::Damaged(error);
        let opened = open(&ruin, good, &keyring(1)).unwrap();
        assert_eq!(
            (opened.header, opened.copies),
            (file.header.clone(), [damaged, CopyState::Good])
        );
        let opened = open(good, &ruin, &keyring(1)).unwrap();
        assert!(!opened.is_healthy());
        assert_eq!(
            (opened.header, opened.copies),
            (file.header.clone(), [CopyState::Good, damaged])
        );
        let opened = reopen(&ruin, good, &file.epochs).unwrap();
        assert_eq!(opened.copies, [damaged, CopyState::Good]);
        assert_eq!(opened.slot, None);
    }
}

#[test]
fn two_destroyed_copies_are_damage_if_one_still_begins_as_it_should() {
    let good = TestFile::unsigned(1).copy;
    let bad = edited(&good, 46, &[1]);
    let zeros = vec![0; COPY_LEN];
    let malformed = DecodeError::Malformed(Field::PrefixZero);
    let short = |found_len| DecodeError::Truncated { found_len };
    let cases: [(&[u8], &[u8], DecodeError, DecodeError); 5] = [
        (&bad, &bad, malformed, malformed),
        (&zeros, &bad, DecodeError::NotSealed, malformed),
        (&bad, &[], malformed, short(0)),
        (&good[..1], &[], short(1), short(0)),
        (
            &good[..60_000],
            &zeros,
            short(60_000),
            DecodeError::NotSealed,
        ),
    ];
    for (copy_a, copy_b, a, b) in cases {
        let error = open(copy_a, copy_b, &keyring(1)).unwrap_err();
        assert_eq!(error, HeaderOpenError::Damaged { a, b });
    }
}

#[test]
fn bytes_that_do_not_begin_as_a_sealed_file_are_not_sealed() {
    let zeros = vec![0; COPY_LEN];
    let sqlite = [b"SQLite format 3\0".as_slice(), &[7; COPY_LEN - 16]].concat();
    let cases: [(&[u8], &[u8]); 5] = [
        (&[], &[]),
        (&[0], &[]),
        (b"x", &[]),
        (&zeros, &zeros),
        (&sqlite, &sqlite),
    ];
    for (a, b) in cases {
        assert_eq!(
            open(a, b, &keyring(1)).unwrap_err(),
            HeaderOpenError::NotSealed
        );
    }
}

#[test]
fn a_header_from_the_future_is_named_as_one() {
    let good = TestFile::unsigned(1).copy;
    let future = edited(&good, 16, &[0, 2]);
    let unsupported = HeaderOpenError::VersionUnsupported { found: 2 };
    for (a, b) in [
        (&future, &future),
        (&future, &vec![0; COPY_LEN]),
        (&Vec::new(), &future),
    ] {
        assert_eq!(open(a, b, &keyring(1)).unwrap_err(), unsupported);
    }
    let suite = edited(&good, 18, &[0, 2]);
    let unsupported = HeaderOpenError::SuiteUnsupported { found: 2 };
    assert_eq!(open(&suite, &suite, &keyring(1)).unwrap_err(), unsupported);
    let bad = edited(&good, 46, &[1]);
    let unsupported = HeaderOpenError::VersionUnsupported { found: 2 };
    assert_eq!(open(&future, &bad, &keyring(1)).unwrap_err(), unsupported);
}

#[test]
fn after_an_interrupted_update_the_newer_copy_counts() {
    let file = TestFile::unsigned(1);
    let newer = file.updated();
    let opened = open(&newer, &file.copy, &keyring(1)).unwrap();
    assert_eq!(opened.header.revision(), 2);
    assert!(opened.header.populated());
    assert_eq!(opened.copies, [CopyState::Good, CopyState::Older]);
    let opened = open(&file.copy, &newer, &keyring(1)).unwrap();
    assert_eq!(opened.header.revision(), 2);
    assert_eq!(opened.copies, [CopyState::Older, CopyState::Good]);
}

#[test]
fn the_copy_of_the_epoch_before_counts_as_older() {
    let file = TestFile::unsigned(1);
    let next = file.next_epoch(2, &[(1, "one")]);
    let opened = open(&next.copy, &file.copy, &keyring(1)).unwrap();
    assert_eq!(opened.header.epoch(), 2);
    assert_eq!(opened.copies, [CopyState::Good, CopyState::Older]);
}

#[test]
fn the_newest_copy_with_a_wrong_mac_gives_way_to_the_other() {
    let file = TestFile::unsigned(1);
    let mut newer = file.updated();
    newer[COPY_LEN - 1] ^= 1;
    let opened = open(&newer, &file.copy, &keyring(1)).unwrap();
    assert_eq!(opened.header, file.header);
    assert_eq!(opened.copies, [CopyState::Altered, CopyState::Good]);
    let opened = reopen(&newer, &file.copy, &file.epochs).unwrap();
    assert_eq!(opened.copies, [CopyState::Altered, CopyState::Good]);
    assert_eq!(
        open(&newer, &newer, &keyring(1)).unwrap_err(),
        HeaderOpenError::Altered
    );
    assert_eq!(
        open(&newer, &[], &keyring(1)).unwrap_err(),
        HeaderOpenError::Altered
    );
}

#[test]
fn an_older_copy_with_a_wrong_mac_is_altered() {
    let file = TestFile::unsigned(1);
    let older = edited(&file.copy, 35, &[1]);
    let opened = open(&older, &file.updated(), &keyring(1)).unwrap();
    assert_eq!(opened.copies, [CopyState::Altered, CopyState::Good]);
}

#[test]
fn two_authentic_copies_of_one_stamp_conflict() {
    let file = TestFile::unsigned(1);
    let other = with_mac(edited(&file.copy, 32, &[0, 0, 0, 1]), file.epochs.newest());
    let opened = open(&file.copy, &other, &keyring(1)).unwrap();
    assert_eq!(opened.copies, [CopyState::Good, CopyState::Conflicting]);
    assert_eq!(opened.header, file.header);
}

#[test]
fn a_newer_copy_for_other_keys_is_not_to_be_written_over() {
    let file = TestFile::unsigned(1);
    let without_1 = file.next_epoch(2, &[(2, "two")]);
    let opened = open(&without_1.copy, &file.copy, &keyring(1)).unwrap();
    assert_eq!(opened.header, file.header);
    assert_eq!(
        opened.copies,
        [
            CopyState::Foreign(without_1.header.stamp()),
            CopyState::Good
        ]
    );
    assert!(opened.is_superseded());
    let opened = open(&without_1.copy, &file.copy, &keyring(2)).unwrap();
    assert_eq!(opened.header, without_1.header);
    assert_eq!(opened.copies, [CopyState::Good, CopyState::Older]);
    assert!(!opened.is_superseded());
}

/// Of what a power cut leaves of a copy, it may decode and have lost the slot of whoever reads it. He knows by the key
/// that it names that it was torn, and may write.
#[test]
fn a_newer_copy_under_the_same_key_that_lost_a_slot_is_altered_and_not_for_others() {
    let file = TestFile::unsigned(1);
    let opened = open(&file.copy, &file.copy, &keyring(1)).unwrap();
    let (next, epochs) = opened.remove_slots(&[2], None, &mut TestRng(2)).unwrap();
    let whole = next.encode(epochs.newest());
    let mut torn = whole.clone();
    // The sector that holds most of the hint's slot is still the old one.
    let sector = slot_at(0) / 512 * 512 + 512;
    torn[sector..sector + 512].copy_from_slice(&file.copy[sector..sector + 512]);
    assert!(Header::decode(&torn).unwrap().stamp() > file.header.stamp());
    let opened = open(&torn, &file.copy, &keyring(1)).unwrap();
    assert_eq!(opened.header, file.header);
    assert_eq!(opened.copies, [CopyState::Altered, CopyState::Good]);
    assert!(!opened.is_superseded());
    // Untorn, it counts; also for whoever lost his slot in it.
    for ring in [keyring(1), with_raw_key(3)] {
        let opened = open(&whole, &file.copy, &ring).unwrap();
        assert_eq!(opened.header, next);
        assert_eq!(opened.copies, [CopyState::Good, CopyState::Older]);
    }
}

#[test]
fn no_hint_fits_is_no_key() {
    let slots = vec![recipient(1, "one"), passphrase("spoken"), raw_key(3)];
    let file = TestFile::new(1, slots, None);
    let rings = [
        keyring(9),
        with_raw_key(9),
        with_passphrase("Spoken"),
        Keyring::new(),
    ];
    for ring in rings {
        let error = open(&file.copy, &file.updated(), &ring).unwrap_err();
        assert_eq!(error, HeaderOpenError::NoKey);
    }
    // A raw key is no identity and a passphrase no raw key, whatever their bytes.
    assert_eq!(
        open(&file.copy, &file.copy, &with_raw_key(1)).unwrap_err(),
        HeaderOpenError::NoKey
    );
}

#[test]
fn one_key_of_many_suffices() {
    let file = TestFile::unsigned(1);
    let mut ring = keyring(9);
    ring.add_raw_key(RawKey::from_bytes([9; 32]));
    ring.add_passphrase(secret("nobody's"));
    ring.add_identity(identity(2));
    assert!(!ring.is_empty());
    let opened = open(&file.copy, &file.copy, &ring).unwrap();
    assert_eq!(opened.slot, Some(OTHER_SLOT));
    assert_eq!(
        format!("{ring:?}"),
        "Keyring { identities: 2, passphrases: 1, raw_keys: 1 }"
    );
}

#[test]
fn a_header_read_again_opens_under_known_keys() {
    let file = TestFile::unsigned(1);
    let newer = file.updated();
    let opened = reopen(&newer, &newer, &file.epochs).unwrap();
    assert_eq!(opened.header.revision(), 2);
    assert_eq!(opened.copies, [CopyState::Good; 2]);
    assert!(opened.is_current(&newer[..STAMP_LEN], &newer[..STAMP_LEN]));
    assert!(!opened.is_current(&newer[..STAMP_LEN], &file.copy[..STAMP_LEN]));
    assert!(!opened.is_current(&[], &newer));
    assert_eq!(opened.slot_kind(), None);
}

#[test]
fn a_copy_torn_behind_its_stamp_is_never_current() {
    let file = TestFile::unsigned(1);
    let torn = edited(&file.copy, 30_000, &[1]);
    let opened = open(&file.copy, &torn, &keyring(1)).unwrap();
    assert!(!opened.is_current(&file.copy, &torn));
}

#[test]
fn a_later_epoch_is_unknown_and_an_earlier_one_refused() {
    let file = TestFile::unsigned(1);
    let next = file.next_epoch(2, &[(1, "one")]);
    for other in [&next.copy, &file.copy] {
        assert_eq!(
            reopen(&next.copy, other, &file.epochs).unwrap_err(),
            HeaderOpenError::UnknownEpoch { epoch: 2 }
        );
    }
    assert_eq!(
        reopen(&next.copy, &next.copy, &next.epochs).unwrap().header,
        next.header
    );
    assert_eq!(
        reopen(&file.copy, &file.copy, &next.epochs).unwrap_err(),
        HeaderOpenError::Altered
    );
}

#[test]
fn a_forged_later_epoch_sends_the_reader_back_to_his_keys_which_find_the_good_copy() {
    let file = TestFile::unsigned(1);
    let forged = edited(&file.copy, BODY + 20, &[1]);
    let forged = edited(&forged, BODY + 28, &[1]);
    let epoch = 0x0100_0001;
    assert_eq!(
        reopen(&forged, &file.copy, &file.epochs).unwrap_err(),
        HeaderOpenError::UnknownEpoch { epoch }
    );
    let opened = open(&forged, &file.copy, &keyring(1)).unwrap();
    assert_eq!(opened.header, file.header);
}

#[test]
fn another_file_does_not_open_under_known_keys() {
    let (file, other) = (TestFile::unsigned(1), TestFile::unsigned(2));
    assert_eq!(
        reopen(&other.copy, &other.copy, &file.epochs).unwrap_err(),
        HeaderOpenError::Altered
    );
    let opened = reopen(&other.copy, &file.copy, &file.epochs).unwrap();
    assert_eq!(opened.header, file.header);
}

#[test]
fn inspection_needs_no_key() {
    let file = TestFile::signed(1);
    let newer = file.updated();
    let healthy = inspect(&file.copy, &file.copy);
    assert!(healthy.identical);
    assert_eq!(healthy.signature, SignatureState::Valid);
    assert_eq!(healthy.header(), Some(&file.header));
    let torn = inspect(&file.copy, &newer);
    assert!(!torn.identical);
    assert_eq!(torn.header().map(Header::revision), Some(2));
    assert_eq!(torn.signature, SignatureState::Valid);
    let forged = edited(&file.copy, BODY, &[1, 2, 3]);
    assert_eq!(inspect(&forged, &[]).signature, SignatureState::Invalid);
    assert_eq!(
        inspect(&[], &TestFile::unsigned(1).copy).signature,
        SignatureState::Missing
    );
    let nothing = inspect(&[], b"SQLite format 3\0");
    assert_eq!(nothing.header(), None);
    assert_eq!(
        nothing.copies,
        [
            Err(DecodeError::Truncated { found_len: 0 }),
            Err(DecodeError::NotSealed)
        ]
    );
}
