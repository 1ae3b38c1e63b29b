//! Every byte of a signed header with a slot for an identity.

use std::fs;
use std::path::Path;

use tempfile::tempdir;
use zqlite::keys::{Expected, Identity, NewSlot, SigningKey, SlotKey};
use zqlite::pq::header::Keyring;
use zqlite::{Builder, VerifyOptions, VerifyReport};

use crate::sample::{Contents, Outcome, contents, fill, read};
use crate::schedule::Schedule;
use crate::support::poke;

const COPY: u64 = 65_536;
/// Prefix, body with one slot, signature.
const OWNERS: u64 = 128 + 2_024 + 2_528 + 3_309;
const SIGNER_SEED: [u8; 32] = [3; 32];
const READER_SEED: [u8; 32] = [5; 32];

fn reader() -> Identity {
    Identity::from_seed(READER_SEED)
}

fn expected() -> Expected {
    Expected {
        key: SigningKey::from_seed(SIGNER_SEED).verifying_key().clone(),
        file_id: None,
    }
}

fn create(path: &Path) -> Contents {
    let slot = NewSlot {
        key: SlotKey::Recipient(reader().recipient()),
        label: "reader".to_owned(),
    };
    let connection = Builder::new(path)
        .identity(reader())
        .signed_by(expected())
        .create(vec![slot])
        .sign_with(SigningKey::from_seed(SIGNER_SEED))
        .open()
        .unwrap();
    fill(&connection, 4_096);
    contents(&connection)
}

fn attempt(path: &Path, expected_rows: &Contents, case: &str) -> Outcome {
    let opened = Builder::new(path)
        .identity(reader())
        .signed_by(expected())
        .open();
    match opened {
        Ok(connection) => read(&connection, expected_rows, case),
        Err(error) => Outcome::Closed(error.verdict()),
    }
}

fn verify(path: &Path) -> Result<VerifyReport, zqlite::Error> {
    let mut ring = Keyring::new();
    ring.add_identity(reader());
    let mut options = VerifyOptions::new(ring);
    options.signed_by = Some(expected());
    zqlite::verify(path, options, &mut |_| true)
}

#[test]
fn any_byte_of_a_signed_header_flipped_opens_with_the_owners_rights_or_not_at_all() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let rows = create(&path);
    let whole = fs::read(&path).unwrap();
    assert_eq!(attempt(&path, &rows, "untouched"), Outcome::Whole);
    let clean = verify(&path).unwrap();
    assert_eq!(clean.problems, Vec::<String>::new());
    assert_eq!(clean.signer.as_ref(), Some(&expected().key));

    let mut draw = Schedule::new("signed header", 4);
    let mut flips = draw.flips(0..COPY);
    flips.extend(draw.flips(0..OWNERS));
    flips.extend(draw.every(0..200));
    assert!(flips.len() as u64 >= draw.at_least(COPY) + 200);
    for (number, &(at, mask)) in flips.iter().enumerate() {
        let case = draw.case(at, mask);
        let byte = whole[usize::try_from(at).unwrap()];
        // In one copy, by turns: the other is used.
        let copy = number as u64 % 2;
        poke(&path, copy * COPY + at, &[byte ^ mask]);
        assert_eq!(attempt(&path, &rows, &case), Outcome::Whole, "{case}");
        let report = verify(&path).unwrap();
        assert_eq!(report.problems.len(), 1, "{case}: {:?}", report.problems);
        assert!(report.problems[0].starts_with("header copy "), "{case}");
        assert_eq!(report.signer, clean.signer, "{case}");
        assert_eq!(
            (report.file_id, report.generation, report.revision),
            (clean.file_id, clean.generation, clean.revision),
            "{case}"
        );
        // In both: nothing is left that the owner signed.
        poke(&path, (1 - copy) * COPY + at, &[byte ^ mask]);
        let outcome = attempt(&path, &rows, &case);
        assert!(matches!(outcome, Outcome::Closed(_)), "{case}: {outcome:?}");
        assert!(verify(&path).is_err(), "{case}");
        for copy in 0..2 {
            poke(&path, copy * COPY + at, &[byte]);
        }
    }
    assert!(fs::read(&path).unwrap() == whole);
}

#[test]
fn a_signature_that_is_cut_out_of_both_copies_closes_the_file() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.db");
    let rows = create(&path);
    let whole = fs::read(&path).unwrap();
    for copy in 0..2 {
        // The flag, the signer's key, the signature: as an unsigned header has them.
        poke(&path, copy * COPY + 128 + 66, &[0, 0]);
        poke(&path, copy * COPY + 128 + 72, &[0; 1_952]);
        poke(&path, copy * COPY + OWNERS - 3_309, &[0; 3_309]);
    }
    let outcome = attempt(&path, &rows, "no signature");
    assert!(matches!(outcome, Outcome::Closed(_)), "{outcome:?}");
    assert!(verify(&path).is_err());
    fs::write(&path, whole).unwrap();
    assert_eq!(attempt(&path, &rows, "untouched"), Outcome::Whole);
}
