//! Who made the file (F-16, F-17).

use super::*;

fn expected(n: u8) -> Expected {
    Expected {
        key: signing_key(n).verifying_key().clone(),
        file_id: None,
    }
}

#[test]
fn the_owners_file_is_known_by_his_key_and_its_id() {
    let file = TestFile::signed(1);
    let id = Some(file.header.file_id);
    assert_eq!(file.header.check_signature(&expected(1)), Ok(()));
    assert_eq!(
        file.header.check_signature(&Expected {
            file_id: id,
            ..expected(1)
        }),
        Ok(())
    );
    assert_eq!(file.header.signer(), Some(signing_key(1).verifying_key()));
}

#[test]
fn another_signer_another_file_and_no_signature_are_told_apart() {
    let (file, other) = (TestFile::signed(1), TestFile::signed(2));
    let other_id = Some(other.header.file_id);
    let cases = [
        (TestFile::unsigned(1), expected(1), SignatureError::Missing),
        (TestFile::signed(1), expected(2), SignatureError::OtherKey),
        (
            file,
            Expected {
                file_id: other_id,
                ..expected(1)
            },
            SignatureError::OtherFile,
        ),
    ];
    for (file, expected, error) in cases {
        assert_eq!(file.header.check_signature(&expected), Err(error));
        assert_eq!(
            open_signed(&file.copy, &file.copy, &keyring(1), &expected).unwrap_err(),
            HeaderOpenError::Signature(error)
        );
    }
}

#[test]
fn what_readers_may_change_lies_outside_the_signature() {
    let file = TestFile::signed(1);
    let updated = file.updated();
    let opened = open_signed(&updated, &updated, &keyring(1), &expected(1)).unwrap();
    assert!(opened.header.populated());
    let opened = reopen_signed(&updated, &updated, &file.epochs, &expected(1)).unwrap();
    assert_eq!(opened.header.check_signature(&expected(1)), Ok(()));
}

#[test]
fn a_reader_cannot_let_others_in() {
    let file = TestFile::signed(1);
    let mut forged = file.header.clone();
    forged.next_revision().unwrap();
    forged.slots.pop();
    let copy = forged.encode(file.epochs.newest());
    assert!(open(&copy, &copy, &keyring(1)).is_ok());
    let refused = HeaderOpenError::Signature(SignatureError::Invalid);
    assert_eq!(
        open_signed(&copy, &copy, &keyring(1), &expected(1)).unwrap_err(),
        refused
    );
    assert_eq!(
        reopen_signed(&copy, &copy, &file.epochs, &expected(1)).unwrap_err(),
        refused
    );
    let opened = open_signed(&copy, &file.copy, &keyring(1), &expected(1)).unwrap();
    assert_eq!(opened.header, file.header);
    assert_eq!(
        opened.copies,
        [CopyState::Refused(SignatureError::Invalid), CopyState::Good]
    );
}

#[test]
fn a_signature_of_another_header_does_not_fit() {
    let (file, other) = (TestFile::signed(1), TestFile::signed(2));
    let mut header = file.header.clone();
    header.signer = other.header.signer;
    assert_eq!(
        header.check_signature(&expected(1)),
        Err(SignatureError::Invalid)
    );
    let copy = header.encode(file.epochs.newest());
    assert_eq!(inspect(&copy, &copy).signature, SignatureState::Invalid);
}

#[test]
fn every_field_of_the_owner_is_signed() {
    let file = TestFile::signed(1);
    let end = slot_at(3);
    for offset in (BODY..end).step_by(5) {
        let copy = edited(&file.copy, offset, &[file.copy[offset] ^ 1]);
        if let Ok(header) = Header::decode(&copy) {
            let result = header.check_signature(&expected(1));
            assert!(result.is_err(), "byte {offset}");
        }
    }
}

#[test]
fn a_file_made_for_a_known_recipient_does_not_displace_the_owners() {
    // Anyone can make a file for identity 1 and put one copy of its header, newer, beside the owner's.
    let file = TestFile::signed(1);
    let slots = vec![recipient(1, "one")];
    let mut forged = TestFile::new(9, slots, Some(&signing_key(9)));
    forged.header.revision = 7;
    forged.copy = forged.header.encode(forged.epochs.newest());
    let opened = open(&forged.copy, &file.copy, &keyring(1)).unwrap();
    assert_eq!(
        opened.header, forged.header,
        "without an expected signer nobody can tell"
    );
    for (a, b) in [(&forged.copy, &file.copy), (&file.copy, &forged.copy)] {
        let opened = open_signed(a, b, &keyring(1), &expected(1)).unwrap();
        assert_eq!(opened.header, file.header);
        assert!(
            opened
                .copies
                .contains(&CopyState::Refused(SignatureError::OtherKey))
        );
        assert_eq!(reopen(a, b, &file.epochs).unwrap().header, file.header);
    }
}
