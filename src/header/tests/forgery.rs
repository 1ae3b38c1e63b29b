//! Altered copies: whatever was changed, no header comes from them.

use super::*;

/// Every byte unless `ZQLITE_FLIP_STRIDE` says otherwise.
fn stride() -> usize {
    std::env::var("ZQLITE_FLIP_STRIDE")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1)
}

#[test]
fn a_flipped_bit_anywhere_in_a_copy_spoils_it() {
    let file = TestFile::signed(1);
    let mut copy = file.copy.clone();
    let mut ran = 0;
    for offset in (0..COPY_LEN).step_by(stride()) {
        let bit = 1 << (offset % 8);
        copy[offset] ^= bit;
        assert!(
            reopen(&copy, &[], &file.epochs).is_err(),
            "bit flipped in byte {offset}"
        );
        copy[offset] ^= bit;
        ran += 1;
    }
    assert_eq!(ran, COPY_LEN.div_ceil(stride()));
    assert!(reopen(&copy, &[], &file.epochs).is_ok());
}

#[test]
fn a_flipped_bit_in_one_copy_leaves_the_other_in_use() {
    let file = TestFile::signed(1);
    let mut copy = file.copy.clone();
    let mut rng = TestRng(7);
    for offset in (0..COPY_LEN).step_by(61 * stride()) {
        let bit = 1 << (rng.try_next_u32().unwrap() % 8);
        copy[offset] ^= bit;
        for (a, b, good) in [(&copy, &file.copy, 1), (&file.copy, &copy, 0)] {
            let opened = reopen(a, b, &file.epochs).unwrap();
            assert_eq!(opened.header, file.header);
            assert_eq!(opened.copies[good], CopyState::Good);
            assert!(
                matches!(
                    opened.copies[1 - good],
                    CopyState::Altered | CopyState::Damaged(_)
                ),
                "byte {offset}"
            );
        }
        copy[offset] ^= bit;
    }
}

#[test]
fn a_flipped_bit_in_a_keys_own_slot_is_found_by_that_key() {
    let file = TestFile::unsigned(1);
    let ring = keyring(1);
    for offset in (slot_at(0)..slot_at(1)).step_by(17) {
        let copy = edited(&file.copy, offset, &[file.copy[offset] ^ 0x10]);
        let error = open(&copy, &copy, &ring).unwrap_err();
        let in_slot = offset - slot_at(0);
        match in_slot {
            // The encapsulation and the hint decide whether the slot is taken for one's own.
            4..1_128 => assert_eq!(error, HeaderOpenError::NoKey, "{in_slot}"),
            1_128..1_176 | 1_208.. => assert_eq!(error, HeaderOpenError::Altered, "{in_slot}"),
            _ => assert!(
                matches!(error, HeaderOpenError::Damaged { .. }),
                "{in_slot}"
            ),
        }
    }
}

#[test]
fn swapped_slots_do_not_open() {
    let file = TestFile::unsigned(1);
    let swap = |from: usize, to: usize| {
        let mut copy = file.copy.clone();
        let (first, second) = (slot_at(0), slot_at(1));
        copy[first + from..first + to].copy_from_slice(&file.copy[second + from..second + to]);
        copy[second + from..second + to].copy_from_slice(&file.copy[first + from..first + to]);
        copy
    };
    let cases = [
        (swap(1_128, 1_176), HeaderOpenError::Altered), // wrapped keys
        (swap(8, 1_176), HeaderOpenError::NoKey),       // encapsulations and wrapped keys
        (swap(4, 1_176), HeaderOpenError::Altered),     // hints too
        (swap(0, SLOT_LEN), HeaderOpenError::Altered),  // whole slots
        (swap(1_208, SLOT_LEN), HeaderOpenError::Altered), // details
    ];
    for (copy, expected) in cases {
        for n in [1, 2] {
            assert_eq!(open(&copy, &copy, &keyring(n)).unwrap_err(), expected);
        }
    }
}

#[test]
fn a_slot_of_another_file_does_not_open() {
    let (file, other) = (TestFile::unsigned(1), TestFile::unsigned(2));
    let foreign = &other.copy[slot_at(0)..slot_at(1)];
    let copy = edited(&file.copy, slot_at(0), foreign);
    assert_eq!(
        open(&copy, &copy, &keyring(1)).unwrap_err(),
        HeaderOpenError::NoKey
    );
    // With a hint that fits, it is the wrapped key that does not open.
    let hint = {
        use sha2::{Digest, Sha256};
        let digest = Sha256::new()
            .chain_update(b"zqlite/v1/slot/hint\0")
            .chain_update(file.header.file_id.as_bytes())
            .chain_update(&foreign[8..1_128])
            .chain_update(identity(1).recipient().as_bytes())
            .finalize();
        digest[..4].to_vec()
    };
    let copy = edited(&copy, slot_at(0) + 4, &hint);
    assert_eq!(
        open(&copy, &copy, &keyring(1)).unwrap_err(),
        HeaderOpenError::Altered
    );
    assert!(open(&copy, &file.copy, &keyring(1)).is_ok());
}

#[test]
fn another_key_wrapped_to_a_recipient_does_not_fit_the_commitment() {
    let file = TestFile::unsigned(1);
    let mut rng = TestRng(3);
    let file_id = file.header.file_id;
    let chosen = EpochKeys::derive(&file_id, EpochKey::from_bytes([7; 32]), 1);
    let label = SlotLabel::new(String::new()).unwrap();
    let to = identity(1).recipient();
    let slot = Slot::seal(
        SlotKind::Recipient,
        &to,
        &label,
        &file_id,
        &chosen,
        &mut rng,
    );
    let copy = edited(&file.copy, slot_at(0), &slot.encode());
    assert_eq!(
        open(&copy, &copy, &keyring(1)).unwrap_err(),
        HeaderOpenError::Altered
    );
    // Not with a MAC of the chosen key either.
    let copy = with_mac(copy, &chosen);
    assert_eq!(
        open(&copy, &copy, &keyring(1)).unwrap_err(),
        HeaderOpenError::Altered
    );
    assert!(open(&copy, &file.copy, &keyring(1)).is_ok());
}

#[test]
fn an_altered_slot_does_not_hide_a_good_one() {
    // The MAC spoils the copy, but both slots must have been tried: the other copy opens by slot 1.
    let file = TestFile::unsigned(1);
    let bad_slot_0 = edited(&file.copy, slot_at(0) + 1_130, &[0, 0, 0, 0]);
    let copy = with_mac(bad_slot_0, file.epochs.newest());
    let mut ring = keyring(1);
    ring.add_identity(identity(2));
    let opened = open(&copy, &copy, &ring).unwrap();
    assert_eq!(opened.slot, Some(1));
}

#[test]
fn an_epoch_table_that_does_not_open_spoils_the_copy() {
    let file = TestFile::unsigned(1).next_epoch(2, &[(1, "one")]);
    for offset in [4, 36, 60, 92] {
        let copy = edited(&file.copy, TABLE + offset, &[file.copy[TABLE + offset] ^ 1]);
        let copy = with_mac(copy, file.epochs.newest());
        assert_eq!(
            open(&copy, &copy, &keyring(1)).unwrap_err(),
            HeaderOpenError::Altered
        );
        assert!(open(&copy, &file.copy, &keyring(1)).is_ok());
    }
}

#[test]
fn a_key_holder_cannot_pass_a_header_off_as_that_of_another_file() {
    let file = TestFile::unsigned(1);
    let copy = with_mac(edited(&file.copy, BODY, &[0; 16]), file.epochs.newest());
    assert_eq!(
        reopen(&copy, &copy, &file.epochs).unwrap_err(),
        HeaderOpenError::Altered
    );
    assert_eq!(
        open(&copy, &copy, &keyring(1)).unwrap_err(),
        HeaderOpenError::NoKey
    );
}
