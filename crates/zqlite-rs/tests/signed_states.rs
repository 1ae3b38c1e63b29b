//! Seals and proofs of live files: what holds a seal up, what it refuses, and what others may do meanwhile.
#![cfg(feature = "pq")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic"
)]

#[path = "support/support.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use rusqlite::Connection;
use tempfile::TempDir;
use zqlite::pq::SigningKey;
use zqlite::pq::epoch::FileId;
use zqlite::pq::header::Expected;
use zqlite::pq::seal::Seal;
use zqlite::{
    Error, SealOptions, Verdict, check_proof, prove, prove_to, read_proof, read_seal, seal_to,
    verify_seal,
};

use support::{
    PAGES_AT, beside, count, create, create_sized, fill, flip, header_of, len, mode, open, peek,
    poke, ring, set_len, wal,
};

fn key() -> SigningKey {
    SigningKey::from_seed([5; 32])
}

fn expected() -> Expected {
    Expected {
        key: key().verifying_key().clone(),
        file_id: None,
    }
}

fn options() -> SealOptions {
    SealOptions::new(ring(), key())
}

fn seal(path: &Path) -> Result<Seal, Error> {
    zqlite::seal(path, options(), &mut |_| true)
}

fn verify(path: &Path, seal: &Seal) -> Result<(), Error> {
    verify_seal(path, seal, &expected(), &mut |_| true)
}

#[track_caller]
fn assert_differs(path: &Path, seal: &Seal, says: &str) {
    let error = verify(path, seal).unwrap_err();
    assert!(matches!(error, Error::NotSealedState { .. }), "{error}");
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(error.verdict(), Verdict::Damaged);
}

fn sample(journal_mode: &str) -> (TempDir, PathBuf, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    mode(&connection, journal_mode);
    fill(&connection, 100);
    (dir, path, connection)
}

#[test]
fn a_seal_names_the_state_and_fits_until_something_is_committed() {
    for journal_mode in ["DELETE", "TRUNCATE", "PERSIST", "WAL"] {
        let (_dir, path, connection) = sample(journal_mode);
        let made = seal(&path).unwrap();
        let opened = header_of(&path);
        let state = made.state();
        assert_eq!(state.file_id, *opened.header.file_id());
        assert_eq!(state.page_size, opened.header.page_size());
        assert_eq!(u64::from(state.pages), (len(&path) - PAGES_AT) / 4_096);
        assert_eq!(state.generation, opened.header.generation());
        assert_eq!(state.revision, opened.header.revision());
        assert!(made.time() > 1_700_000_000);
        // Once more, another second perhaps: the same state.
        assert_eq!(seal(&path).unwrap().state(), state);
        verify(&path, &made).unwrap();
        connection
            .execute_batch("UPDATE t SET b = 'x' WHERE a = 1")
            .unwrap();
        assert_differs(
            &path,
            &made,
            if journal_mode == "WAL" { "WAL" } else { "page" },
        );
        if journal_mode == "WAL" {
            connection
                .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
                .unwrap();
            assert_differs(&path, &made, "page");
        }
        let again = seal(&path).unwrap();
        assert!(again.state().root != state.root);
        verify(&path, &again).unwrap();
    }
}

#[test]
fn a_seal_fits_files_of_every_page_size() {
    for page_size in [4_096, 8_192, 16_384, 32_768, 65_536] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        fill(&create_sized(&path, page_size), 300);
        let made = seal(&path).unwrap();
        verify(&path, &made).unwrap();
        let proof = prove(&path, &made, made.state().pages, &mut |_| true).unwrap();
        check_proof(&path, &proof, &made, &expected()).unwrap();
        flip(&path, len(&path) - 1);
        assert_differs(&path, &made, "page");
    }
}

#[test]
fn any_part_of_the_file_altered_does_not_fit_the_seal() {
    let (_dir, path, connection) = sample("DELETE");
    drop(connection);
    let made = seal(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let places = [
        (0, "not that of"),
        (60_000, "copy A"),
        (65_536 + 300, "copy B"),
        (131_071, "copy B"),
        (131_072, "both header copies are those"),
        (whole.len() as u64 - 1, "page"),
    ];
    for (at, says) in places {
        flip(&path, at);
        assert_differs(&path, &made, says);
        fs::write(&path, &whole).unwrap();
    }
    // Both copies alike.
    for at in [300, 65_536 + 300] {
        flip(&path, at);
    }
    assert!(verify(&path, &made).is_err());
    fs::write(&path, &whole).unwrap();
    set_len(&path, len(&path) + 4_096);
    assert_differs(&path, &made, "bytes");
    set_len(&path, whole.len() as u64 - 4_096);
    assert_differs(&path, &made, "bytes");
    set_len(&path, 131_071);
    assert_differs(&path, &made, "within its header");
    fs::write(&path, &whole).unwrap();
    for (suffix, content) in [("-wal", vec![0; 32]), ("-journal", vec![1])] {
        fs::write(beside(&path, suffix), content).unwrap();
        assert_differs(&path, &made, "stands beside the file");
        fs::remove_file(beside(&path, suffix)).unwrap();
    }
    for (suffix, content) in [("-wal", vec![]), ("-journal", vec![0; 512])] {
        fs::write(beside(&path, suffix), content).unwrap();
        verify(&path, &made).unwrap();
        fs::remove_file(beside(&path, suffix)).unwrap();
    }
    verify(&path, &made).unwrap();
}

#[test]
fn a_seal_of_another_signer_or_of_another_file_is_refused() {
    let (_dir, path, connection) = sample("DELETE");
    drop(connection);
    let made = seal(&path).unwrap();
    let mut options = options();
    options.signing_key = SigningKey::from_seed([6; 32]);
    let by_another = zqlite::seal(&path, options, &mut |_| true).unwrap();
    assert_eq!(by_another.state(), made.state());
    let error = verify(&path, &by_another).unwrap_err();
    assert!(
        matches!(error, Error::SignatureUnexpected { .. }),
        "{error}"
    );
    assert_eq!(error.verdict(), Verdict::Signature);
    let wrong_file = Expected {
        file_id: Some(FileId::from_bytes([1; 16])),
        ..expected()
    };
    let error = verify_seal(&path, &made, &wrong_file, &mut |_| true).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Signature);
    let (_other_dir, other, connection) = sample("DELETE");
    drop(connection);
    assert_differs(&other, &made, "another file");
    verify(&path, &made).unwrap();
}

#[test]
fn a_file_with_a_page_that_does_not_open_is_not_sealed() {
    let (dir, path, connection) = sample("DELETE");
    drop(connection);
    let target = dir.path().join("a.seal");
    let whole = fs::read(&path).unwrap();
    flip(&path, PAGES_AT + 2 * 4_096);
    let error = seal_to(&path, &target, false, options(), &mut |_| true).unwrap_err();
    assert!(
        error.to_string().contains("page 3 does not open"),
        "{error}"
    );
    assert_eq!(error.verdict(), Verdict::Damaged);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no seal, and nothing unfinished"
    );
    fs::write(&path, &whole).unwrap();
    let made = seal_to(&path, &target, false, options(), &mut |_| true).unwrap();
    assert_eq!(read_seal(&target).unwrap(), made);
}

#[test]
fn a_damaged_header_copy_is_repaired_before_the_file_is_sealed() {
    let (_dir, path, connection) = sample("DELETE");
    drop(connection);
    poke(&path, 65_536, &[0; 4_096]);
    let made = seal(&path).unwrap();
    assert!(peek(&path, 0, 65_536) == peek(&path, 65_536, 65_536));
    verify(&path, &made).unwrap();
}

#[test]
fn a_reader_that_pins_the_log_is_named_and_nothing_is_sealed() {
    let (_dir, path, writer) = sample("WAL");
    let reader = open(&path);
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 100);
    fill(&writer, 1);
    let mut asked = 0;
    let mut options = options();
    options.patience = std::time::Duration::ZERO;
    let error = zqlite::seal(&path, options, &mut |_| {
        asked += 1;
        true
    })
    .unwrap_err();
    assert!(matches!(error, Error::CannotSeal { .. }), "{error}");
    assert!(error.to_string().contains("reader"), "{error}");
    assert!(asked > 0);
    reader.execute_batch("COMMIT").unwrap();
    let made = seal(&path).unwrap();
    verify(&path, &made).unwrap();
}

#[test]
fn writers_append_to_the_log_while_a_file_is_sealed_and_no_checkpoint_changes_it() {
    let (_dir, path, writer) = sample("WAL");
    writer.execute_batch("PRAGMA wal_autocheckpoint=1").unwrap();
    fill(&writer, 10_000);
    let mut committed = 0;
    let before = count(&writer);
    let made = zqlite::seal(&path, options(), &mut |progress| {
        if progress.done > 0 && committed < 3 {
            fill(&writer, 1);
            committed += 1;
        }
        true
    })
    .unwrap();
    assert_eq!(committed, 3, "while the pages were read");
    assert_eq!(count(&writer), before + 3);
    assert_differs(&path, &made, "WAL");
    // The database file is still the one that was sealed: no checkpoint got through.
    let copy = beside(&path, ".copy");
    fs::copy(&path, &copy).unwrap();
    verify(&copy, &made).unwrap();
    drop(writer);
    assert!(!wal(&path).exists());
    assert_differs(&path, &made, "page");
}

#[test]
fn in_a_rollback_mode_writers_wait_while_a_file_is_sealed() {
    let (_dir, path, writer) = sample("DELETE");
    fill(&writer, 10_000);
    let mut refused = 0;
    let made = zqlite::seal(&path, options(), &mut |progress| {
        if progress.done > 0 {
            writer.busy_timeout(std::time::Duration::ZERO).unwrap();
            let outcome = writer.execute_batch("UPDATE t SET b = 'x' WHERE a = 1");
            assert_eq!(
                outcome.unwrap_err().sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseBusy)
            );
            refused += 1;
        }
        true
    })
    .unwrap();
    assert!(refused > 0);
    verify(&path, &made).unwrap();
    writer
        .execute_batch("UPDATE t SET b = 'x' WHERE a = 1")
        .unwrap();
}

/// A plain `open` and `close` of the file would drop the locks that this process has on it.
#[test]
fn verifying_against_a_seal_keeps_the_locks_of_this_process() {
    let (_dir, path, connection) = sample("DELETE");
    let made = seal(&path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    verify(&path, &made).unwrap();
    prove(&path, &made, 1, &mut |_| true).unwrap();
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let inode = format!(":{} ", fs::metadata(&path).unwrap().ino());
        let held = locks
            .lines()
            .filter(|line| line.contains(&inode) && line.contains("1073741825 1073741825"));
        assert_eq!(held.count(), 1, "RESERVED is held: {locks}");
    }
    connection.execute_batch("COMMIT").unwrap();
}

#[test]
fn sealing_and_verifying_stop_where_the_callback_says_so_and_leave_nothing_behind() {
    let (dir, path, connection) = sample("DELETE");
    fill(&connection, 10_000);
    drop(connection);
    let made = seal(&path).unwrap();
    let target = dir.path().join("new.seal");
    let names = || fs::read_dir(dir.path()).unwrap().count();
    let before = names();
    let mut stop = |progress: zqlite::Progress| progress.done == 0;
    let outcomes = [
        seal_to(&path, &target, false, options(), &mut stop).map(drop),
        verify_seal(&path, &made, &expected(), &mut stop),
        prove_to(&path, &target, false, &made, 2, &mut stop).map(drop),
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
    }
    assert_eq!(names(), before);
}

#[test]
fn every_page_has_a_proof_that_checks_and_fits_no_other_page_or_seal() {
    let (dir, path, connection) = sample("DELETE");
    let made = seal(&path).unwrap();
    let pages = made.state().pages;
    let target = dir.path().join("page.proof");
    for number in 1..=pages {
        let proof = prove_to(&path, &target, true, &made, number, &mut |_| true).unwrap();
        let read = read_proof(&target).unwrap();
        assert_eq!(read, proof);
        check_proof(&target, &read, &made, &expected()).unwrap();
        assert_eq!(
            proof.page(),
            peek(&path, PAGES_AT + u64::from(number - 1) * 4_096, 4_096)
        );
    }
    assert!(pages > 10);
    for number in [0, pages + 1, u32::MAX] {
        let error = prove(&path, &made, number, &mut |_| true).unwrap_err();
        assert!(error.to_string().contains("there is no page"), "{error}");
    }
    let proof = read_proof(&target).unwrap();
    connection
        .execute_batch("UPDATE t SET b = 'x' WHERE a = 1")
        .unwrap();
    let later = seal(&path).unwrap();
    let error = check_proof(&target, &proof, &later, &expected()).unwrap_err();
    assert!(error.to_string().contains("another seal"), "{error}");
    assert_eq!(error.verdict(), Verdict::Damaged);
    // And no proof is made from a file that is no longer in the state.
    assert!(prove(&path, &made, 1, &mut |_| true).is_err());
    check_proof(&target, &proof, &made, &expected()).unwrap();
}

#[test]
fn what_is_no_seal_is_refused_by_its_name_and_is_never_replaced_unasked() {
    let (dir, path, connection) = sample("DELETE");
    drop(connection);
    let target = dir.path().join("a.seal");
    fs::write(&target, b"mine").unwrap();
    let error = seal_to(&path, &target, false, options(), &mut |_| true).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    for (read, what) in [
        (read_seal(&target).map(drop), "not a seal"),
        (read_proof(&target).map(drop), "not a proof"),
    ] {
        let error = read.unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(error.verdict(), Verdict::Damaged);
    }
    // The database itself is neither, and is not overwritten by its own seal.
    assert!(matches!(read_seal(&path), Err(Error::BadSeal { .. })));
    let whole = fs::read(&path).unwrap();
    assert!(seal_to(&path, &path, true, options(), &mut |_| true).is_err());
    assert!(fs::read(&path).unwrap() == whole);
    // Nor another one with it.
    let other = dir.path().join("other.db");
    fs::write(&other, &whole).unwrap();
    assert!(seal_to(&path, &other, true, options(), &mut |_| true).is_err());
    assert!(fs::read(&other).unwrap() == whole);
    seal_to(&path, &target, true, options(), &mut |_| true).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let bytes = fs::read(&target).unwrap();
    for len in [0, 1, 100, bytes.len() - 1] {
        fs::write(&target, &bytes[..len]).unwrap();
        assert!(
            matches!(read_seal(&target), Err(Error::BadSeal { .. })),
            "{len}"
        );
    }
}

#[test]
fn a_file_without_pages_has_no_state_to_seal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    connection
        .execute_batch("BEGIN; CREATE TABLE t(a);")
        .unwrap();
    connection.cache_flush().unwrap();
    let unborn = peek(&path, 0, 131_072);
    drop(connection);
    fs::write(&path, unborn).unwrap();
    drop(fs::remove_file(beside(&path, "-journal")));
    let error = seal(&path).unwrap_err();
    assert!(matches!(error, Error::CannotSeal { .. }), "{error}");
}

#[test]
fn anchors_in_a_file_agree_between_threads() {
    use std::sync::Arc;
    let (dir, path, connection) = sample("WAL");
    drop(connection);
    let anchor = dir.path().join("anchor");
    let (sender, receiver) = channel();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (path, anchor, sender) = (path.clone(), anchor.clone(), sender.clone());
            std::thread::spawn(move || {
                for _ in 0..10 {
                    let anchor = Arc::new(zqlite::FileAnchor::new(&anchor));
                    let opened = support::builder(&path).anchor(anchor).open();
                    sender.send(opened.map(|c| count(&c)).unwrap()).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    assert_eq!(receiver.iter().filter(|rows| *rows == 100).count(), 40);
    for thread in threads {
        thread.join().unwrap();
    }
    #[cfg(unix)]
    for name in ["anchor", "anchor.lock"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(!dir.path().join("anchor.new").exists());
    // What cannot be read is no reason to go on without it.
    fs::write(&anchor, b"").unwrap();
    let refused = support::builder(&path)
        .anchor(Arc::new(zqlite::FileAnchor::new(&anchor)))
        .open();
    assert_eq!(refused.unwrap_err().verdict(), Verdict::Damaged);
}

/// A sparse file of zeros behind a real header: no key opens it, and no key is needed to check it against a seal.
#[test]
fn the_hole_at_1_gib_is_no_page_and_is_zero() {
    use zqlite::pq::seal::tree::{Tree, leaf};
    const PAGE: u64 = 65_536;
    const HOLE: u64 = 1 << 30;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    fill(&create_sized(&path, 65_536), 10);
    let header = header_of(&path).header;
    let before_hole = (HOLE - PAGES_AT) / PAGE;
    let pages = before_hole + 2;
    set_len(&path, PAGES_AT);
    set_len(&path, HOLE + 3 * PAGE);
    let marks = [
        (PAGES_AT, 1),
        (HOLE - 1, before_hole),
        (HOLE + PAGE, before_hole + 1),
        (HOLE + 3 * PAGE - 1, pages),
    ];
    let mut tree = Tree::new();
    for number in 1..=pages {
        let mut page = vec![0; 65_536];
        for (at, _) in marks.iter().filter(|(_, marked)| *marked == number) {
            poke(&path, *at, &[9]);
            page[if at % PAGE == 0 { 0 } else { 65_535 }] = 9;
        }
        tree.push(leaf(
            header.file_id(),
            u32::try_from(number).unwrap(),
            &page,
        ));
    }
    let state = zqlite::pq::seal::State {
        file_id: *header.file_id(),
        page_size: header.page_size(),
        pages: u32::try_from(pages).unwrap(),
        generation: header.generation(),
        revision: header.revision(),
        header_hash: zqlite::pq::seal::header_hash(&peek(&path, 0, 65_536)),
        root: tree.root().unwrap(),
    };
    let made = Seal::sign(state, 0, &key()).unwrap();
    verify(&path, &made).unwrap();
    flip(&path, HOLE + 100);
    assert_differs(&path, &made, "hole");
    flip(&path, HOLE + 100);
    flip(&path, HOLE + PAGE);
    assert_differs(&path, &made, "at least one page");
}
