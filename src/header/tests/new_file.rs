//! What a new header may hold.

use super::*;
use crate::passphrase::{Argon2Parameter, ParamsError};

fn create(slots: Vec<NewSlot>) -> Result<Header, CreateError> {
    let new = NewHeader {
        page_size: PageSize::default(),
        slots,
        signing_key: None,
    };
    new.create(&mut TestRng(1)).map(|(header, _)| header)
}

#[test]
fn a_file_needs_1_to_22_slots() {
    let recipients = |count: u8| (1..=count).map(|n| recipient(n, "")).collect();
    assert_eq!(create(Vec::new()), Err(CreateError::NoSlots));
    assert_eq!(
        create(recipients(23)),
        Err(CreateError::TooManySlots { found: 23 })
    );
    let file = TestFile::new(1, recipients(22), Some(&signing_key(1)));
    assert_eq!(Header::decode(&file.copy), Ok(file.header.clone()));
    for n in [1, 11, 22] {
        let opened = open(&file.copy, &file.copy, &keyring(n)).unwrap();
        assert_eq!(opened.slot, Some(usize::from(n) - 1));
    }
}

#[test]
fn twenty_recipients_with_labels_of_63_bytes_fit() {
    let label = |n: u8| format!("{n:02} {}", "ä".repeat(30));
    let slots = (1..=20).map(|n| recipient(n, &label(n))).collect();
    let file = TestFile::new(1, slots, Some(&signing_key(1)));
    let opened = open(&file.copy, &file.copy, &keyring(20)).unwrap();
    assert_eq!(opened.slot, Some(19));
    for (n, slot) in (1..).zip(opened.header.slots()) {
        let details = slot
            .open_details(opened.epochs.newest(), opened.header.file_id())
            .unwrap();
        assert_eq!(details.label.len(), 63);
        assert_eq!(details.label, label(n));
        assert_eq!(details.recipient, identity(n).recipient());
    }
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let error = create(vec![recipient(1, &"x".repeat(64))]);
    assert_eq!(error, Err(CreateError::LabelTooLong { found_len: 64 }));
    let error = create(vec![
        recipient(1, ""),
        recipient(2, ""),
        recipient(1, "again"),
    ]);
    assert_eq!(error, Err(CreateError::DuplicateRecipient { index: 2 }));
    let error = create(vec![raw_key(1), raw_key(1)]);
    assert_eq!(error, Err(CreateError::DuplicateRecipient { index: 1 }));
    let error = create((0..5).map(|_| passphrase("spoken")).collect());
    assert_eq!(error, Err(CreateError::TooManyPassphrases { found: 5 }));
    let params = Argon2Params {
        memory_kib: u32::MAX,
        ..Argon2Params::MIN
    };
    let key = SlotKey::Passphrase(secret("spoken"), params);
    let error = create(vec![NewSlot {
        key,
        label: String::new(),
    }]);
    let (min, max) = (Argon2Params::MIN.memory_kib, Argon2Params::MAX.memory_kib);
    let parameter = Argon2Parameter::MemoryKib;
    let found = u32::MAX;
    let expected = ParamsError::OutOfRange {
        parameter,
        found,
        min,
        max,
    };
    assert_eq!(error, Err(CreateError::Argon2(expected)));
}

#[test]
fn four_passphrases_fit_and_each_opens() {
    let words = ["one", "two", "three", "four"];
    let file = TestFile::new(1, words.iter().map(|word| passphrase(word)).collect(), None);
    let opened = open(&file.copy, &file.copy, &with_passphrase("three")).unwrap();
    assert_eq!(opened.slot, Some(2));
}

#[test]
fn two_files_share_nothing() {
    let (a, b) = (TestFile::unsigned(1).header, TestFile::unsigned(2).header);
    assert_ne!(a.file_id, b.file_id);
    assert_ne!(a.commitment, b.commitment);
    assert_ne!(a.slots[0].hint(), b.slots[0].hint());
}
