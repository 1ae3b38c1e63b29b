//! The vector files, opened with the product.

use std::path::Path;

use hmac::Mac;
use serde_json::Value;
use zqlite::pq::epoch::{EpochKeys, FileId};
use zqlite::pq::header::{self, COPY_LEN, CopyState, Expected, HEADER_LEN, Header, Keyring};
use zqlite::pq::page::{PageContext, PageOpener, Place, Trailer};
use zqlite::pq::{EpochKey, Identity, Passphrase, RawKey, VerifyingKey};
use zqlite::rusqlite::Connection;
use zqlite::{Builder, Error, Verdict, VerifyOptions, VerifyReport};

use super::{
    Case, assert_expected, beside, file, flip, keyrings, raw_keyring, rows, sha256, unpack, vectors,
};

const HEADER: usize = 131_072;

fn open(path: &Path, keyring: Keyring) -> Result<Connection, Error> {
    Builder::new(path)
        .keyring(keyring)
        .accept_any_maker()
        .open()
}

fn verify(path: &Path, keyring: Keyring) -> Result<VerifyReport, Error> {
    zqlite::verify(path, VerifyOptions::new(keyring), &mut |_| true)
}

fn expected_maker(file: &Case) -> Expected {
    Expected {
        key: file
            .get("credentials")
            .text("verifying_key")
            .parse::<VerifyingKey>()
            .unwrap(),
        file_id: Some(FileId::from_bytes(file.array("file_id"))),
    }
}

/// All pages of a sealed file, opened one by one and joined; the epoch of each.
fn pages(path: &Path, keyring: &Keyring) -> (Vec<u8>, Vec<u32>) {
    let bytes = std::fs::read(path).unwrap();
    let opened = header::open(&bytes[..COPY_LEN], &bytes[COPY_LEN..HEADER], keyring).unwrap();
    let mut opener = PageOpener::new();
    let (mut plain, mut epochs) = (Vec::new(), Vec::new());
    let page_size = usize::try_from(opened.header.page_size().get()).unwrap();
    for (number, page) in (1..).zip(bytes[HEADER..].chunks(page_size)) {
        let mut page = page.to_vec();
        let epoch = Trailer::decode(&page).unwrap().epoch;
        let context = PageContext {
            file_id: *opened.header.file_id(),
            number,
            place: Place::Database,
        };
        let keys = opened.epochs.get(epoch).unwrap();
        opener.open(keys, &context, &mut page).unwrap();
        plain.extend_from_slice(&page);
        epochs.push(epoch);
    }
    (plain, epochs)
}

/// What SQL says of a damaged file: nothing is read, or it is the verdict of opening or reading.
fn read_all(path: &Path, keyring: Keyring) -> Result<(), Error> {
    let connection = open(path, keyring)?;
    // `hex` reads what `length` does not: overflow pages.
    rows(
        &connection,
        "SELECT sum(length(hex(data))), sum(length(name)) FROM item",
    )?;
    rows(
        &connection,
        "SELECT count(*) FROM item INDEXED BY item_name WHERE name > ''",
    )?;
    Ok(())
}

#[test]
fn each_key_of_each_vector_file_opens_it_and_sql_yields_what_it_must() {
    let (mut keys, mut queries) = (0, 0);
    for file in vectors().list("files") {
        for (key, keyring) in keyrings(&file) {
            let dir = tempfile::tempdir().unwrap();
            let path = unpack(&file, dir.path());
            let mut builder = Builder::new(&path).keyring(keyring);
            builder = if file.has("signature") {
                builder.signed_by(expected_maker(&file))
            } else {
                builder.accept_any_maker()
            };
            let connection = builder.open().unwrap_or_else(|e| panic!("{key}: {e}"));
            queries += assert_expected(&connection, &file.list("expected"));
            connection.close().unwrap();
            // The last connection of a WAL database has checkpointed; a hot journal is rolled back.
            for suffix in ["-wal", "-journal"] {
                assert!(!beside(&path, suffix).exists(), "{key} {suffix}");
            }
            let recovered = if file.has("sha256_recovered") {
                "sha256_recovered"
            } else {
                "sha256"
            };
            let (plain, _) = pages(&path, &raw_keyring(&file));
            assert_eq!(sha256(&plain), file.bytes(recovered), "{key}");
            keys += 1;
        }
    }
    assert_eq!((keys, queries), (10, 60));
}

#[test]
fn every_page_of_the_vector_files_opens_under_the_key_of_its_epoch() {
    let mut seen = 0;
    for file in vectors()
        .list("files")
        .iter()
        .filter(|file| file.text("file") != "journal.zqlite")
    {
        let dir = tempfile::tempdir().unwrap();
        let (plain, epochs) = pages(&unpack(file, dir.path()), &raw_keyring(file));
        assert_eq!(sha256(&plain), file.bytes("sha256"));
        assert_eq!(epochs.len(), file.number::<usize>("pages"));
        if file.has("epoch_of_page") {
            for (number, epoch) in file.members("epoch_of_page") {
                let index = number.parse::<usize>().unwrap() - 1;
                assert_eq!(u64::from(epochs[index]), epoch.0.as_u64().unwrap());
            }
            assert_eq!(epochs, [3, 1, 2, 3, 1, 2, 3, 1]);
        }
        seen += epochs.len();
    }
    assert_eq!(seen, 7 + 8 + 3 + 6);
}

#[test]
fn headers_decode_to_the_values_of_the_vectors_and_encode_to_the_same_bytes() {
    let mut slots = 0;
    for file in vectors().list("files") {
        let dir = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(unpack(&file, dir.path())).unwrap();
        let copy = &bytes[..COPY_LEN];
        let header = Header::decode(copy).unwrap();
        assert_eq!(header.file_id().as_bytes(), &file.array::<16>("file_id"));
        assert_eq!(header.page_size().get(), file.number::<u32>("page_size"));
        assert_eq!(header.generation(), file.number::<u64>("generation"));
        assert_eq!(header.revision(), file.number::<u64>("revision"));
        assert_eq!(header.epoch(), file.number::<u32>("epoch"));
        assert_eq!(header.min_epoch(), file.number::<u32>("minimum_epoch"));
        assert!(header.populated());
        assert_eq!(header.signer().is_some(), file.has("signature"));
        let opened = header::open(copy, &bytes[COPY_LEN..HEADER], &raw_keyring(&file)).unwrap();
        assert_eq!(opened.header, header);
        assert_eq!(header.encode(opened.epochs.newest()), copy);
        assert_eq!(copy[COPY_LEN - 32..], file.bytes("header_mac"));
        let mut older: Vec<_> = file
            .members("epochs")
            .iter()
            .map(|(n, _)| n.parse::<u32>().unwrap())
            .collect();
        older.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(
            opened
                .epochs
                .iter()
                .map(EpochKeys::epoch)
                .collect::<Vec<_>>(),
            older
        );
        assert_eq!(header.slots().len(), file.list("slots").len());
        for (slot, expected) in header.slots().iter().zip(file.list("slots")) {
            assert_eq!(slot.kind().number(), expected.number::<u16>("kind"));
            assert_eq!(slot.hint(), expected.array::<4>("hint"));
            let details = slot
                .open_details(opened.epochs.newest(), header.file_id())
                .unwrap();
            assert_eq!(details.label, expected.text("label"));
            assert_eq!(
                sha256(details.recipient.as_bytes()),
                expected.bytes("xwing_public_key_sha256")
            );
            slots += 1;
        }
    }
    assert_eq!(slots, 3 + 1 + 1 + 2 + 2);
}

#[test]
fn the_keys_of_every_epoch_are_derived_as_in_the_vectors() {
    let mut epochs = 0;
    for file in vectors().list("files") {
        let file_id = FileId::from_bytes(file.array("file_id"));
        for (number, epoch) in file.members("epochs") {
            let key = EpochKey::from_bytes(epoch.array("epoch_key"));
            let keys = EpochKeys::derive(&file_id, key, number.parse().unwrap());
            super::units::assert_derived(&keys, &epoch);
            epochs += 1;
        }
    }
    assert_eq!(epochs, 1 + 3 + 1 + 2 + 1);
}

#[test]
fn verification_finds_nothing_wrong_with_whole_files_and_names_the_older_copy_of_an_interrupted_update()
 {
    let mut problems = Vec::new();
    for file in vectors().list("files") {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        let report = verify(&path, raw_keyring(&file)).unwrap();
        assert_eq!(report.file_id.as_bytes(), &file.array::<16>("file_id"));
        assert_eq!(report.generation, file.number::<u64>("generation"));
        assert_eq!(report.revision, file.number::<u64>("revision"));
        let signer = report.signer.map(|key| key.to_string());
        let expected = file
            .has("signature")
            .then(|| file.get("credentials").text("verifying_key"));
        assert_eq!(signer, expected);
        let name = file.text("file");
        let frames = if name == "wal.zqlite" { 11 } else { 0 };
        assert_eq!(report.wal_frames, frames, "{name}");
        problems.extend(
            report
                .problems
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
    }
    let older = "halfway.zqlite: header copy B is older than the other: an update was interrupted";
    assert_eq!(problems, [older]);
}

#[test]
fn decrypting_the_vector_files_yields_plain_databases_with_the_expected_rows() {
    let mut queries = 0;
    for file in vectors().list("files") {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        let plain = dir.path().join("plain");
        let options = zqlite::DecryptOptions::new(raw_keyring(&file));
        zqlite::decrypt(&path, &plain, options, &mut |_| true).unwrap();
        let connection = Connection::open(&plain).unwrap();
        let mut expected = file.list("expected");
        // VACUUM lays out the pages anew.
        expected.retain(|query| query.text("sql") != "PRAGMA page_count");
        queries += assert_expected(&connection, &expected);
    }
    assert_eq!(queries, 25);
}

#[test]
fn a_key_that_no_slot_is_for_opens_none_of_the_vector_files() {
    let mut tried = 0;
    for file in vectors().list("files") {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        let others = || {
            let mut keyring = Keyring::new();
            keyring.add_raw_key(RawKey::from_bytes([0x55; 32]));
            keyring.add_passphrase(Passphrase::from_bytes(b"not the passphrase".to_vec()));
            keyring.add_identity(Identity::from_seed([0x66; 32]));
            keyring
        };
        assert_eq!(open(&path, others()).unwrap_err().verdict(), Verdict::NoKey);
        assert_eq!(
            verify(&path, others()).unwrap_err().verdict(),
            Verdict::NoKey
        );
        tried += 1;
    }
    assert_eq!(tried, 5);
}

#[test]
fn a_flipped_bit_in_any_page_is_damage_and_verification_names_the_page() {
    let mut flipped = 0;
    for name in ["signed.zqlite", "epochs.zqlite", "halfway.zqlite"] {
        let file = file(name);
        let page_size = file.number::<usize>("page_size");
        for page in 0..file.number::<usize>("pages") {
            let dir = tempfile::tempdir().unwrap();
            let path = unpack(&file, dir.path());
            // Ciphertext, nonce, epoch, zeros and tag in turn.
            let within = [
                page_size / 2,
                page_size - 40,
                page_size - 21,
                page_size - 18,
                page_size - 5,
            ];
            flip(
                &path,
                HEADER + page * page_size + within[page % within.len()],
            );
            let error = read_all(&path, raw_keyring(&file)).unwrap_err();
            assert_eq!(
                error.verdict(),
                Verdict::Damaged,
                "{name} page {}: {error}",
                page + 1
            );
            let problems = verify(&path, raw_keyring(&file)).unwrap().problems;
            let named = format!("page {} does not open", page + 1);
            assert!(problems.contains(&named), "{named}: {problems:?}");
            flipped += 1;
        }
    }
    assert_eq!(flipped, 7 + 8 + 3);
}

#[test]
fn a_flipped_bit_in_one_header_copy_is_reported_and_in_both_it_is_damage() {
    let file = file("signed.zqlite");
    let slots_end = 128 + 2_024 + 3 * 2_528;
    // Magic, revision, prefix zeros, file id, commitment, signer, details of a slot, signature, padding, table, MAC.
    let places = [
        3,
        31,
        90,
        130,
        165,
        400,
        4_000,
        slots_end + 7,
        slots_end + 3_400,
        63_800,
        65_535,
    ];
    for offset in places {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        flip(&path, offset);
        let report = verify(&path, raw_keyring(&file)).unwrap();
        assert_eq!(report.problems.len(), 1, "{offset}: {:?}", report.problems);
        assert!(
            report.problems[0].starts_with("header copy A"),
            "{:?}",
            report.problems
        );
        let connection = open(&path, raw_keyring(&file)).unwrap();
        assert_expected(&connection, &file.list("expected"));
        drop(connection);
        flip(&path, COPY_LEN + offset);
        let verdict = open(&path, raw_keyring(&file)).unwrap_err().verdict();
        let expected = match offset {
            // No copy begins as a sealed file does.
            3 => Verdict::Other,
            // Another file id: no hint fits.
            130 => Verdict::NoKey,
            _ => Verdict::Damaged,
        };
        assert_eq!(verdict, expected, "{offset}");
    }
}

/// What is done to a file.
enum Change {
    Cut(u64),
    Flip(usize),
}

fn cut(path: &Path, len: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(len).unwrap();
}

#[test]
fn a_wal_that_is_cut_or_damaged_after_the_first_commit_gives_the_state_after_it() {
    let file = file("wal.zqlite");
    let first = file.get("wal").get("first_commit");
    let after_first: usize = first.number("wal_size");
    let frames = file.get("wal").list("frames");
    let whole = 32 + frames.len() * (24 + 4_096);
    assert!(
        frames
            .iter()
            .any(|frame| frame.number::<usize>("offset") == after_first)
    );
    let len = whole as u64;
    let changes = [
        (
            "cut behind the first commit",
            Change::Cut(after_first as u64),
        ),
        ("cut within the last frame", Change::Cut(len - 1)),
        (
            "cut within a frame header",
            Change::Cut(after_first as u64 + 11),
        ),
        ("page number", Change::Flip(after_first + 3)),
        ("masked checksum", Change::Flip(after_first + 20)),
        ("ciphertext", Change::Flip(after_first + 24 + 99)),
        ("last tag", Change::Flip(whole - 1)),
    ];
    for (name, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        let wal = beside(&path, "-wal");
        match change {
            Change::Cut(len) => cut(&wal, len),
            Change::Flip(offset) => flip(&wal, offset),
        }
        let connection = open(&path, raw_keyring(&file)).unwrap();
        assert_eq!(
            assert_expected(&connection, &first.list("expected")),
            6,
            "{name}"
        );
        connection.close().unwrap();
        let (plain, _) = pages(&path, &raw_keyring(&file));
        assert_eq!(sha256(&plain), first.bytes("sha256_recovered"), "{name}");
    }
}

#[test]
fn a_wal_whose_header_or_first_commit_is_damaged_gives_the_state_before_it() {
    let file = file("wal.zqlite");
    for offset in [2, 9, 17, 30, 32 + 10, 32 + 24 + 1_000] {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        flip(&beside(&path, "-wal"), offset);
        let connection = open(&path, raw_keyring(&file)).unwrap();
        let count = rows(&connection, "SELECT count(*), sum(n) FROM item").unwrap();
        let squares: i64 = (1..=60).map(|i| i * i).sum();
        assert_eq!(count, [[Value::from(61), (squares - 1).into()]], "{offset}");
        connection.close().unwrap();
        let (plain, _) = pages(&path, &raw_keyring(&file));
        assert_eq!(sha256(&plain), file.bytes("sha256"), "{offset}");
    }
}

#[test]
fn frames_of_a_damaged_commit_before_a_good_one_are_named_by_verification() {
    let file = file("wal.zqlite");
    let dir = tempfile::tempdir().unwrap();
    let path = unpack(&file, dir.path());
    flip(&beside(&path, "-wal"), 32 + 24 + 4_120 + 77);
    let report = verify(&path, raw_keyring(&file)).unwrap();
    assert_eq!(
        report.problems,
        ["WAL frame 2 does not open, but one after it does"]
    );
}

#[test]
fn damage_in_the_synced_part_of_a_hot_journal_is_an_error_and_the_journal_stays() {
    let file = file("journal.zqlite");
    let segments = file.get("journal").list("segments");
    let second: usize = segments[1].number("offset");
    let record = 8 + 4_096;
    // Of the first and the second segment: count, id, epoch, MAC, zeros (the second's id apart: F-29); of
    // records: page number, ciphertext, trailer.
    let mut places = vec![30];
    for start in [0, second] {
        places.extend([start + 11, start + 47, start + 60, start + 100]);
        places.extend([
            start + 512 + 3,
            start + 512 + 500,
            start + 512 + 3 * record + 4 + 4_090,
        ]);
    }
    assert_eq!(places.len(), 15);
    for offset in places {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        let journal = beside(&path, "-journal");
        flip(&journal, offset);
        let before = std::fs::read(&journal).unwrap();
        let error = read_all(&path, raw_keyring(&file)).unwrap_err();
        assert_eq!(error.verdict(), Verdict::Damaged, "{offset}: {error}");
        assert_eq!(std::fs::read(&journal).unwrap(), before, "{offset}");
    }
}

#[test]
fn a_page_number_that_ends_sqlites_rollback_is_damage_in_the_synced_part_of_a_journal() {
    let file = file("journal.zqlite");
    let lock_byte_page: u32 = (1 << 30) / 4_096 + 1;
    for number in [0, lock_byte_page] {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        let journal = beside(&path, "-journal");
        let mut bytes = std::fs::read(&journal).unwrap();
        bytes[512 + 8 + 4_096..][..4].copy_from_slice(&number.to_be_bytes());
        std::fs::write(&journal, &bytes).unwrap();
        let error = read_all(&path, raw_keyring(&file)).unwrap_err();
        assert_eq!(error.verdict(), Verdict::Damaged, "{number}: {error}");
        assert_eq!(std::fs::read(&journal).unwrap(), bytes);
    }
}

#[test]
fn a_journal_that_is_cut_short_of_its_count_is_damage() {
    let file = file("journal.zqlite");
    let dir = tempfile::tempdir().unwrap();
    let path = unpack(&file, dir.path());
    let journal = beside(&path, "-journal");
    let handle = std::fs::File::options().write(true).open(&journal).unwrap();
    handle.set_len(512 + 2 * 4_104 + 100).unwrap();
    drop(handle);
    let error = read_all(&path, raw_keyring(&file)).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Damaged, "{error}");
    assert!(journal.exists());
}

#[test]
fn what_stands_behind_the_synced_part_of_a_journal_and_in_place_of_checksums_is_ignored() {
    let file = file("journal.zqlite");
    let segments = file.get("journal").list("segments");
    let unsynced: usize = segments[2].number("offset");
    assert!(!segments[2].get("synced").0.as_bool().unwrap());
    for offset in [
        unsynced + 20,
        unsynced + 60,
        unsynced + 512 + 2_000,
        512 + 4 + 4_096,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        flip(&beside(&path, "-journal"), offset);
        let connection = open(&path, raw_keyring(&file)).unwrap();
        assert_eq!(
            assert_expected(&connection, &file.list("expected")),
            6,
            "{offset}"
        );
    }
}

#[test]
fn a_journal_that_sqlite_has_invalidated_rolls_nothing_back() {
    let file = file("journal.zqlite");
    for zeros in [1, 28] {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        let journal = beside(&path, "-journal");
        let mut bytes = std::fs::read(&journal).unwrap();
        bytes[..zeros].fill(0);
        std::fs::write(&journal, bytes).unwrap();
        let (plain, _) = pages(&path, &raw_keyring(&file));
        assert_eq!(sha256(&plain), file.bytes("sha256"));
        // The pages are those of the middle of a transaction: only the header's page is looked at.
        let connection = open(&path, raw_keyring(&file)).unwrap();
        rows(&connection, "SELECT count(*) FROM sqlite_master").unwrap();
        drop(connection);
        let (plain, _) = pages(&path, &raw_keyring(&file));
        assert_eq!(sha256(&plain), file.bytes("sha256"), "{zeros}");
    }
}

#[test]
fn who_has_a_slot_only_in_the_older_copy_still_sees_the_newer_header() {
    let file = file("halfway.zqlite");
    let keyrings = keyrings(&file);
    assert_eq!(keyrings.len(), 2);
    for (key, keyring) in keyrings {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        let bytes = std::fs::read(&path).unwrap();
        for expected in [None, Some(expected_maker(&file))] {
            let (a, b) = (&bytes[..COPY_LEN], &bytes[COPY_LEN..HEADER]);
            let opened = match &expected {
                None => header::open(a, b, &keyring),
                Some(expected) => header::open_signed(a, b, &keyring, expected),
            }
            .unwrap();
            assert_eq!(opened.header.generation(), 2, "{key}");
            assert_eq!(opened.copies, [CopyState::Good, CopyState::Older], "{key}");
        }
        assert_eq!(verify(&path, keyring).unwrap().generation, 2, "{key}");
        // Without the newer copy the older one counts.
        flip(&path, 60);
        let generation = verify(&path, raw_keyring(&file)).unwrap().generation;
        assert_eq!(generation, file.get("copy_b").number::<u64>("generation"));
    }
}

#[test]
fn a_signature_that_does_not_verify_is_refused_whether_or_not_a_maker_is_expected() {
    let file = file("signed.zqlite");
    let keys = EpochKeys::derive(
        &FileId::from_bytes(file.array("file_id")),
        EpochKey::from_bytes(file.get("epochs").get("1").array("epoch_key")),
        1,
    );
    let signature = 128 + 2_024 + 3 * 2_528;
    let tamper = |path: &Path, copies: &[usize]| {
        let mut bytes = std::fs::read(path).unwrap();
        for copy in copies {
            let copy = &mut bytes[*copy..][..COPY_LEN];
            copy[signature + 100] ^= 1;
            let mut mac = keys.header_mac();
            mac.update(b"zqlite/v1/mac/header\0");
            mac.update(&copy[..COPY_LEN - 32]);
            copy[COPY_LEN - 32..].copy_from_slice(&mac.finalize().into_bytes());
        }
        std::fs::write(path, bytes).unwrap();
    };
    let dir = tempfile::tempdir().unwrap();
    let path = unpack(&file, dir.path());
    let with_maker = || {
        Builder::new(&path)
            .keyring(raw_keyring(&file))
            .signed_by(expected_maker(&file))
            .open()
    };
    assert!(with_maker().is_ok());
    tamper(&path, &[0]);
    assert!(
        with_maker().is_ok(),
        "who expects a maker passes the copy over"
    );
    let error = open(&path, raw_keyring(&file)).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Signature);
    tamper(&path, &[COPY_LEN]);
    assert_eq!(with_maker().unwrap_err().verdict(), Verdict::Signature);
    let error = open(&path, raw_keyring(&file)).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Signature);
}

#[test]
fn another_maker_another_file_and_an_unsigned_file_are_refused_where_a_maker_is_expected() {
    let signed = file("signed.zqlite");
    let unsigned = file("epochs.zqlite");
    let mut other_file = expected_maker(&signed);
    other_file.file_id = Some(FileId::from_bytes([9; 16]));
    let mut other_key = expected_maker(&signed);
    other_key.key = zqlite::pq::SigningKey::from_seed([9; 32])
        .verifying_key()
        .clone();
    let mut any_file = expected_maker(&signed);
    any_file.file_id = None;
    for (file, expected) in [
        (&signed, other_file),
        (&signed, other_key),
        (&unsigned, any_file),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(file, dir.path());
        let opened = Builder::new(&path)
            .keyring(raw_keyring(file))
            .signed_by(expected)
            .open();
        assert_eq!(opened.unwrap_err().verdict(), Verdict::Signature);
    }
}

#[test]
fn of_two_copies_that_do_not_open_the_one_that_says_most_gives_the_verdict() {
    use header::HeaderOpenError::{Altered, Damaged, NoKey, NotSealed, VersionUnsupported};
    let file = file("signed.zqlite");
    let dir = tempfile::tempdir().unwrap();
    let copy = std::fs::read(unpack(&file, dir.path())).unwrap()[..COPY_LEN].to_vec();
    let changed = |offset: usize| {
        let mut copy = copy.clone();
        copy[offset] ^= 4;
        copy
    };
    // From the least to the most telling; the key at hand is the file's raw key.
    let copies = [
        vec![0; COPY_LEN],
        changed(50),
        changed(17),
        changed(128),
        changed(65_535),
    ];
    let rank = |error: &header::HeaderOpenError| match error {
        NotSealed => 0,
        Damaged { .. } => 1,
        VersionUnsupported { found: 5 } => 2,
        NoKey => 3,
        Altered => 4,
        other => panic!("{other}"),
    };
    let mut pairs = 0;
    for (i, a) in copies.iter().enumerate() {
        for (j, b) in copies.iter().enumerate() {
            let error = header::open(a, b, &raw_keyring(&file)).unwrap_err();
            assert_eq!(rank(&error), i.max(j), "copies {i} and {j}: {error}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 25);
}

#[test]
fn a_file_that_is_cut_short_is_damage() {
    let file = file("signed.zqlite");
    let whole = HEADER + file.number::<usize>("pages") * 4_096;
    for len in [
        100,
        70_000,
        HEADER,
        HEADER + 4_096,
        whole - 4_096,
        whole - 1,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = unpack(&file, dir.path());
        let handle = std::fs::File::options().write(true).open(&path).unwrap();
        handle.set_len(len as u64).unwrap();
        drop(handle);
        let error = read_all(&path, raw_keyring(&file)).unwrap_err();
        assert_eq!(error.verdict(), Verdict::Damaged, "{len}: {error}");
    }
    assert_eq!(HEADER_LEN, HEADER as u64);
}
