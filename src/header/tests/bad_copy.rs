//! Copies that no writer writes are refused before any key is used.

use proptest::prelude::*;

use super::*;

fn malformed(copy: &[u8], offset: usize, bytes: &[u8], field: Field) {
    let found = Header::decode(&edited(copy, offset, bytes));
    assert_eq!(
        found,
        Err(DecodeError::Malformed(field)),
        "{bytes:?} at {offset}"
    );
}

#[test]
fn another_magic_version_or_suite_is_refused() {
    let copy = TestFile::unsigned(1).copy;
    for offset in 0..16 {
        let bytes = [copy[offset] ^ 1];
        assert_eq!(
            Header::decode(&edited(&copy, offset, &bytes)),
            Err(DecodeError::NotSealed)
        );
    }
    for found in [0, 2, 0x100, u16::MAX] {
        let bytes = found.to_be_bytes();
        assert_eq!(
            Header::decode(&edited(&copy, 16, &bytes)),
            Err(DecodeError::VersionUnsupported { found })
        );
        assert_eq!(
            Header::decode(&edited(&copy, 18, &bytes)),
            Err(DecodeError::SuiteUnsupported { found })
        );
    }
}

#[test]
fn a_prefix_out_of_range_is_refused() {
    let copy = TestFile::unsigned(1).copy;
    let len = |len: u32| len.to_be_bytes();
    for lie in [
        0,
        2_024,
        2_024 + 2_528 * 3 - 1,
        2_024 + 2_528 * 3 + 1,
        2_024 + 2_528 * 23,
    ] {
        malformed(&copy, 20, &len(lie), Field::BodyLength);
    }
    malformed(&copy, 20, &len(u32::MAX), Field::BodyLength);
    malformed(&copy, 20, &len(2_024 + 2_528 * 2), Field::SlotCount);
    malformed(&copy, 20, &len(2_024 + 2_528 * 4), Field::SlotCount);
    malformed(&copy, 24, &[0; 8], Field::Revision);
    malformed(&copy, 32, &[0, 0, 0, 2], Field::Flags);
    malformed(&copy, 32, &[0x80, 0, 0, 0], Field::Flags);
    malformed(&copy, 36, &[0; 4], Field::MinEpoch);
    malformed(&copy, 36, &[0, 0, 0, 2], Field::MinEpoch);
    malformed(&copy, 40, &[0, 0, 0, 1], Field::RekeyProgress);
    malformed(&copy, 44, &[0, 17], Field::EpochCount);
    malformed(&copy, 44, &[0xff, 0xff], Field::EpochCount);
    malformed(&copy, 44, &[0, 1], Field::EpochTable);
    malformed(&copy, 46, &[1], Field::PrefixZero);
    malformed(&copy, 127, &[1], Field::PrefixZero);
}

#[test]
fn a_body_out_of_range_is_refused() {
    let copy = TestFile::unsigned(1).copy;
    for size in [
        0u32,
        1,
        512,
        2_048,
        4_095,
        4_097,
        5_000,
        12_288,
        131_072,
        u32::MAX,
    ] {
        malformed(&copy, BODY + 16, &size.to_be_bytes(), Field::PageSize);
    }
    malformed(&copy, BODY + 20, &[0; 8], Field::Generation);
    malformed(&copy, BODY + 28, &[0; 4], Field::Epoch);
    for count in [0u16, 2, 4, 22, 23, u16::MAX] {
        malformed(&copy, BODY + 64, &count.to_be_bytes(), Field::SlotCount);
    }
    malformed(&copy, BODY + 66, &[0, 2], Field::Signed);
    malformed(&copy, BODY + 68, &[0, 0, 0, 1], Field::BodyZero);
    malformed(&copy, BODY + 72, &[1], Field::Signer);
    malformed(&copy, slot_at(3), &[1], Field::Signature);
    malformed(&copy, slot_at(3) + 3_308, &[1], Field::Signature);
    malformed(&copy, slot_at(3) + 3_309, &[1], Field::Padding);
    malformed(&copy, TABLE - 17 * 36 - 1, &[1], Field::Padding);
    malformed(&copy, TABLE - 1, &[1], Field::Succession);
    malformed(&copy, TABLE - 17 * 36, &[0xff; 4], Field::Succession);
    malformed(&copy, TABLE, &[1], Field::EpochTable);
    malformed(&copy, COPY_LEN - 33, &[1], Field::EpochTable);
    let signed = TestFile::signed(1).copy;
    malformed(&signed, BODY + 66, &[0, 0], Field::Signer);
}

#[test]
fn a_slot_out_of_range_is_refused() {
    let slots = vec![recipient(1, "one"), passphrase("spoken"), raw_key(3)];
    let copy = TestFile::new(1, slots, None).copy;
    for kind in [0u16, 4, 0x0100] {
        malformed(&copy, slot_at(0), &kind.to_be_bytes(), Field::SlotKind);
    }
    for index in 0..3 {
        malformed(&copy, slot_at(index) + 2, &[1], Field::SlotZero);
        malformed(&copy, slot_at(index) + 1_204, &[1], Field::SlotZero);
    }
    for index in [0, 2] {
        for offset in 1_176..1_204 {
            malformed(&copy, slot_at(index) + offset, &[1], Field::SlotZero);
        }
    }
}

#[test]
fn argon2_costs_out_of_range_are_refused_without_being_computed() {
    let copy = TestFile::new(1, vec![passphrase("spoken")], None).copy;
    let costs = [
        (1_192, [0u32, 19_455, 1_048_577, u32::MAX].as_slice()),
        (1_196, &[0, 1, 17, u32::MAX]),
        (1_200, &[0, 17, u32::MAX]),
    ];
    let ring = with_passphrase("spoken");
    for (offset, values) in costs {
        for cost in values {
            let copy = edited(&copy, slot_at(0) + offset, &cost.to_be_bytes());
            let error = Header::decode(&copy).unwrap_err();
            assert!(
                matches!(error, DecodeError::Argon2(_)),
                "{cost} at {offset}"
            );
            assert_eq!(
                open(&copy, &copy, &ring).unwrap_err(),
                HeaderOpenError::Damaged { a: error, b: error }
            );
        }
    }
}

#[test]
fn a_fifth_passphrase_slot_is_refused() {
    let slots = (1..=5).map(|n| recipient(n, "")).collect();
    let mut copy = TestFile::new(1, slots, None).copy;
    let costs = [
        19_456u32.to_be_bytes(),
        2u32.to_be_bytes(),
        1u32.to_be_bytes(),
    ]
    .concat();
    for index in 0..5 {
        assert!(Header::decode(&copy).is_ok());
        copy = edited(&copy, slot_at(index), &2u16.to_be_bytes());
        copy = edited(&copy, slot_at(index) + 1_192, &costs);
    }
    assert_eq!(
        Header::decode(&copy),
        Err(DecodeError::Malformed(Field::PassphraseCount))
    );
}

#[test]
fn an_epoch_table_that_does_not_descend_is_refused() {
    let file = TestFile::unsigned(1)
        .next_epoch(2, &[(1, "")])
        .next_epoch(3, &[(1, "")]);
    let entry = |index: usize| TABLE + index * 108;
    assert_eq!(file.copy[entry(0)..entry(0) + 4], [0, 0, 0, 2]);
    assert_eq!(file.copy[entry(1)..entry(1) + 4], [0, 0, 0, 1]);
    malformed(&file.copy, entry(0), &[0, 0, 0, 3], Field::EpochTable);
    malformed(&file.copy, entry(0), &[0, 0, 0, 1], Field::EpochTable);
    malformed(&file.copy, entry(1), &[0, 0, 0, 2], Field::EpochTable);
    malformed(&file.copy, entry(1), &[0, 0, 0, 0], Field::EpochTable);
    malformed(&file.copy, 44, &[0, 1], Field::EpochTable);
    malformed(&file.copy, 44, &[0, 3], Field::EpochTable);
}

#[test]
fn an_epoch_below_the_minimum_is_not_in_the_table() {
    let file = TestFile::unsigned(1)
        .next_epoch(2, &[(1, "")])
        .next_epoch(3, &[(1, "")]);
    let min_epoch = |n: u8| [0, 0, 0, n];
    assert!(Header::decode(&edited(&file.copy, 36, &min_epoch(1))).is_ok());
    malformed(&file.copy, 36, &min_epoch(2), Field::EpochTable);
    malformed(&file.copy, 36, &min_epoch(3), Field::EpochTable);
    malformed(&file.copy, 36, &min_epoch(4), Field::MinEpoch);
    // Rekey may be under way as long as there is something to rekey.
    let halfway = edited(&file.copy, 40, &[0, 0, 0, 1]);
    assert_eq!(Header::decode(&halfway).unwrap().rekey_next_page(), 1);
}

#[test]
fn a_copy_of_another_length_is_refused() {
    let mut copy = TestFile::signed(1).copy;
    for found_len in (0..COPY_LEN)
        .step_by(257)
        .chain([1, 15, 16, 17, 18, 20, 127, COPY_LEN - 1])
    {
        assert_eq!(
            Header::decode(&copy[..found_len]),
            Err(DecodeError::Truncated { found_len })
        );
    }
    copy.push(0);
    assert_eq!(
        Header::decode(&copy),
        Err(DecodeError::Malformed(Field::CopyLength))
    );
}

#[test]
fn a_short_copy_of_the_future_is_still_from_the_future() {
    let copy = edited(&TestFile::unsigned(1).copy, 16, &[0, 2]);
    assert_eq!(
        Header::decode(&copy[..4_096]),
        Err(DecodeError::VersionUnsupported { found: 2 })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(
        signed: bool,
        edits in proptest::collection::vec((0..COPY_LEN, any::<u8>()), 0..4),
    ) {
        let file = if signed { TestFile::signed(1) } else { TestFile::unsigned(1) };
        let mut copy = file.next_epoch(2, &[(1, "")]).copy;
        for (offset, byte) in edits {
            copy[offset] = byte;
        }
        if let Ok(header) = Header::decode(&copy) {
            prop_assert_eq!(header.authenticated_bytes(), &copy[..COPY_LEN - MAC_LEN]);
        }
    }
}
