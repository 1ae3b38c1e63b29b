//! Every replay that an opener accepts, and what catches it: a seal, an anchor, or nothing (SECURITY.md, 1.3 to 1.5).
//! Each test shows the untouched file passing, the attack accepted where nobody asks, and refused by what catches it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use zqlite::pq::SigningKey;
use zqlite::pq::header::{Expected, NewSlot, SlotKey};
use zqlite::pq::seal::Seal;
use zqlite::{
    Error, FileAnchor, MemoryAnchor, OwnerOptions, SealOptions, Verdict, add_recipient, os_rng,
    verify_seal,
};

use crate::hot::{Hot, SECTOR, recover};
use crate::log::Log;
use crate::sample::{Outcome, Sample, attempt, contents};
use crate::support::{
    PAGE, beside, builder, create, journal, mode, one, open, peek, poke, ring, set_len, slots, wal,
};

fn signing_key() -> SigningKey {
    SigningKey::from_seed([5; 32])
}

/// A seal of the file as it is, which it passes.
pub(crate) fn sealed(path: &Path) -> Seal {
    let seal = zqlite::seal(path, SealOptions::new(ring(), signing_key()), &mut |_| true).unwrap();
    assert_fits(path, &seal);
    seal
}

pub(crate) fn check(path: &Path, seal: &Seal) -> Result<(), Error> {
    let expected = Expected {
        key: signing_key().verifying_key().clone(),
        file_id: None,
    };
    verify_seal(path, seal, &expected, &mut |_| true)
}

pub(crate) fn assert_fits(path: &Path, seal: &Seal) {
    check(path, seal).unwrap();
}

/// The seal catches it, as status 4; what it says.
pub(crate) fn assert_caught(path: &Path, seal: &Seal) -> String {
    let error = check(path, seal).expect_err("the seal must not fit");
    assert!(matches!(error, Error::NotSealedState { .. }), "{error}");
    assert_eq!(error.verdict(), Verdict::Damaged);
    error.to_string()
}

/// Lets one more in: an act of the owner, which raises the generation.
fn let_somebody_in(path: &Path) {
    let identity = zqlite::pq::Identity::generate(&mut os_rng());
    let slot = NewSlot {
        key: SlotKey::Recipient(identity.recipient()),
        label: String::new(),
    };
    add_recipient(path, OwnerOptions::new(ring()), slot).unwrap();
}

// --- 1.5 older copies -----------------------------------------------------------------------------

#[test]
fn a_seal_catches_an_older_copy_of_a_page() {
    let sample = Sample::new();
    open(&sample.path)
        .execute_batch("UPDATE t SET c = randomblob(30) WHERE a = 2")
        .unwrap();
    let newer = fs::read(&sample.path).unwrap();
    let seal = sealed(&sample.path);
    let mut caught = 0;
    for number in 2..=sample.pages() {
        if peek(&sample.path, sample.page_at(number), PAGE) == sample.page(number) {
            continue;
        }
        poke(&sample.path, sample.page_at(number), sample.page(number));
        assert_eq!(
            attempt(&sample.path, &sample.contents, "an older page"),
            Outcome::Whole
        );
        assert!(assert_caught(&sample.path, &seal).contains("at least one page"));
        fs::write(&sample.path, &newer).unwrap();
        assert_fits(&sample.path, &seal);
        caught += 1;
    }
    assert_eq!(caught, 1);
}

#[test]
fn a_seal_catches_an_older_copy_of_the_file() {
    let sample = Sample::new();
    open(&sample.path)
        .execute_batch("UPDATE t SET c = randomblob(30) WHERE a = 2")
        .unwrap();
    let seal = sealed(&sample.path);
    sample.restore();
    assert_eq!(sample.attempt("the older file"), Outcome::Whole);
    assert_caught(&sample.path, &seal);
}

#[test]
fn an_anchor_and_a_seal_catch_a_file_with_an_older_header() {
    let sample = Sample::new();
    let folder = tempfile::tempdir().unwrap();
    let anchors: [Arc<dyn zqlite::Anchor>; 2] = [
        Arc::new(FileAnchor::new(folder.path().join("anchor"))),
        Arc::new(MemoryAnchor::new()),
    ];
    let opens = |anchor: &Arc<dyn zqlite::Anchor>| {
        builder(&sample.path)
            .anchor(Arc::clone(anchor))
            .open()
            .map(|connection| contents(&connection))
    };
    for anchor in &anchors {
        opens(anchor).unwrap();
    }
    let_somebody_in(&sample.path);
    let newer = fs::read(&sample.path).unwrap();
    let seal = sealed(&sample.path);
    for anchor in &anchors {
        assert_eq!(opens(anchor).unwrap(), sample.contents);
    }
    let headers_only = |bytes: &mut Vec<u8>| {
        let len = usize::try_from(crate::support::PAGES_AT).unwrap();
        bytes[..len].copy_from_slice(&sample.whole[..len]);
    };
    let mut both_copies = newer.clone();
    headers_only(&mut both_copies);
    for (older, what) in [(&sample.whole, "the file"), (&both_copies, "the header")] {
        fs::write(&sample.path, older).unwrap();
        assert_eq!(sample.attempt(what), Outcome::Whole, "accepted: {what}");
        for anchor in &anchors {
            let error = opens(anchor).expect_err(what);
            assert!(
                matches!(error, Error::HeaderTooOld { .. }),
                "{what}: {error}"
            );
            assert_eq!(error.verdict(), Verdict::Damaged);
        }
        assert!(assert_caught(&sample.path, &seal).contains("the header is another"));
    }
    fs::write(&sample.path, &newer).unwrap();
    assert_fits(&sample.path, &seal);
    for anchor in &anchors {
        assert_eq!(opens(anchor).unwrap(), sample.contents);
    }
}

#[test]
fn an_anchor_catches_another_header_of_the_same_generation_and_revision() {
    let sample = Sample::new();
    let anchor: Arc<dyn zqlite::Anchor> = Arc::new(MemoryAnchor::new());
    let older = peek(&sample.path, 0, 131_072);
    let_somebody_in(&sample.path);
    let newest = peek(&sample.path, 0, 131_072);
    drop(
        builder(&sample.path)
            .anchor(Arc::clone(&anchor))
            .open()
            .unwrap(),
    );
    // Another generation, made from the older header: a fork.
    poke(&sample.path, 0, &older);
    let_somebody_in(&sample.path);
    assert!(peek(&sample.path, 0, 131_072) != newest);
    drop(open(&sample.path));
    let error = builder(&sample.path).anchor(anchor).open().unwrap_err();
    assert!(
        error.to_string().contains("another than the anchor"),
        "{error}"
    );
    assert_eq!(error.verdict(), Verdict::Damaged);
}

/// The header of the time before the first commit, under which an empty file is no damage.
#[test]
fn an_anchor_and_a_seal_catch_the_header_of_a_new_file_and_the_file_that_is_cut_down_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let anchor: Arc<dyn zqlite::Anchor> = Arc::new(MemoryAnchor::new());
    let anchored = || builder(&path).anchor(Arc::clone(&anchor)).open();
    let connection = builder(&path)
        .create(slots())
        .anchor(Arc::clone(&anchor))
        .open()
        .unwrap();
    connection
        .execute_batch("BEGIN; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);")
        .unwrap();
    connection.cache_flush().unwrap();
    let unborn = peek(&path, 0, 131_072);
    connection
        .execute_batch("INSERT INTO t VALUES (1, 'x'); COMMIT;")
        .unwrap();
    drop(connection);
    // The anchor was told when the header was written: nobody has opened the file since.
    let seal = sealed(&path);
    let newest = peek(&path, 0, 131_072);
    poke(&path, 0, &unborn);
    assert!(matches!(anchored(), Err(Error::HeaderTooOld { .. })));
    poke(&path, 0, &newest);
    drop(anchored().unwrap());
    poke(&path, 0, &unborn);
    drop(open(&path));
    assert_caught(&path, &seal);
    poke(&path, 0, &unborn);
    set_len(&path, 131_072);
    assert_eq!(
        one::<i64>(&open(&path), "SELECT count(*) FROM sqlite_master"),
        0
    );
    assert_caught(&path, &seal);
    let error = anchored().unwrap_err();
    assert!(matches!(error, Error::HeaderTooOld { .. }), "{error}");
}

// --- 1.3 and 1.5 logs -----------------------------------------------------------------------------

/// The contents of the log folded in and sealed; then the file of before is put back beside a log that was cut, deleted,
/// or is another one.
#[test]
fn a_seal_catches_what_was_done_to_a_log_that_it_had_folded_in() {
    let older = Log::new();
    let (old_log, old_state) = (older.log.clone(), older.states.last().unwrap().clone());
    let log = older.next_generation();
    let victim = log.victim();
    victim.place(&log.database, &log.log);
    let newest = log.states.last().unwrap();
    let seal = sealed(&victim.path);
    let folded_in = fs::read(&victim.path).unwrap();
    assert!(folded_in != log.database);
    assert!(!wal(&victim.path).exists(), "nobody else has it open");

    let first_commit = log.frames.iter().position(|frame| frame.commits).unwrap() + 1;
    let cut = &log.log[..Log::frame_at(first_commit)];
    let cases: [(&str, &[u8], &[u8], &crate::sample::Contents); 3] = [
        ("cut", &log.database, cut, &log.states[1]),
        ("deleted", &log.database, &[], &log.states[0]),
        ("older", &folded_in, &old_log, &old_state),
    ];
    for (case, database, doctored, state) in cases {
        victim.place(database, doctored);
        let said = assert_caught(&victim.path, &seal);
        assert_eq!(said.contains("WAL"), !doctored.is_empty(), "{case}: {said}");
        assert_eq!(
            victim.attempt_and_checkpoint(state, case),
            Outcome::Whole,
            "accepted: {case}"
        );
        assert_caught(&victim.path, &seal);
    }
    victim.place(&folded_in, &[]);
    assert_fits(&victim.path, &seal);
    assert_eq!(victim.attempt(newest, "untouched"), Outcome::Whole);
}

/// What was committed after a seal is in no seal: where its log is lost, the seal fits.
#[test]
fn no_seal_tells_that_what_came_after_it_is_gone() {
    let log = Log::new();
    let victim = log.victim();
    victim.place(&log.database, &[]);
    let seal = sealed(&victim.path);
    victim.place(&log.database, &log.log);
    assert_caught(&victim.path, &seal);
    victim.place(&log.database, &[]);
    assert_fits(&victim.path, &seal);
    assert_eq!(victim.attempt(&log.states[0], "lost"), Outcome::Whole);
}

#[test]
fn a_seal_catches_the_commits_of_a_copy_that_went_its_own_way() {
    let log = Log::new();
    // A copy, with its log, that is written on by itself.
    let copy = log.victim();
    copy.place(&log.database, &log.log);
    open(&copy.path)
        .execute_batch("UPDATE t SET c = randomblob(30) WHERE a = 9")
        .unwrap();
    let astray = fs::read(&copy.path).unwrap();
    let state = contents(&open(&copy.path));
    copy.place(&log.database, &log.log);
    let seal = sealed(&copy.path);
    copy.place(&astray, &[]);
    assert_eq!(attempt(&copy.path, &state, "astray"), Outcome::Whole);
    assert_caught(&copy.path, &seal);
}

/// An older frame of the same page, named by a doctored index: while the file is in use, nothing catches it.
#[cfg(unix)]
#[test]
fn nothing_catches_an_index_that_names_an_older_frame_of_a_page() {
    use std::io::{Seek, SeekFrom, Write};
    use std::os::fd::IntoRawFd;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let writer = create(&path);
    mode(&writer, "WAL");
    writer
        .execute_batch(
            "CREATE TABLE t(a); INSERT INTO t VALUES (0); PRAGMA wal_checkpoint(TRUNCATE);
             UPDATE t SET a = 1; UPDATE t SET a = 2;",
        )
        .unwrap();
    let read = || one::<i64>(&open(&path), "SELECT a FROM t");
    assert_eq!(read(), 2);
    // The page number of the last frame, in the first region of the index; counted from 0, it is frame 1.
    let frames = crate::log::frames_of(&fs::read(wal(&path)).unwrap());
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].page, frames[1].page);
    let mut index = fs::OpenOptions::new()
        .write(true)
        .open(beside(&path, "-shm"))
        .unwrap();
    index.seek(SeekFrom::Start(136 + 4)).unwrap();
    index.write_all(&[0x7f; 4]).unwrap();
    // Not closed: the locks of this process on it would be gone.
    let _kept_open = index.into_raw_fd();
    assert_eq!(read(), 1, "accepted: the older frame");
    drop(writer);
}

// --- 1.4 and 1.5 journals -------------------------------------------------------------------------

#[test]
fn a_seal_catches_a_transaction_that_stays_half_done() {
    let hot = Hot::new();
    hot.place(&hot.settled, &[]);
    let seal = sealed(&hot.victim);
    let second = hot.segments[1].start;
    let altered = |at: usize| {
        let mut log = hot.journal.clone();
        log[at] ^= 1;
        log
    };
    let cases = [
        ("the journal is deleted", Vec::new()),
        ("the magic of its first header is altered", altered(0)),
        ("the magic of a later header is altered", altered(second)),
        ("the id of a later header is altered", altered(second + 28)),
        ("a segment is cut off", hot.journal[..second].to_vec()),
        (
            "its first header is cut off",
            hot.journal[SECTOR..].to_vec(),
        ),
    ];
    for (case, log) in &cases {
        hot.place(&hot.database, log);
        assert_caught(&hot.victim, &seal);
        assert_eq!(recover(&hot.victim), Ok(()), "accepted: {case}");
        assert_caught(&hot.victim, &seal);
    }
    assert_eq!(cases.len(), 6);
    hot.place(&hot.settled, &[]);
    assert_fits(&hot.victim, &seal);
}

#[test]
fn a_seal_catches_an_older_journal_before_and_after_it_is_rolled_back() {
    let earlier = Hot::new();
    let old = earlier.journal.clone();
    let hot = earlier.next_transaction();
    hot.place(&hot.settled, &[]);
    let seal = sealed(&hot.victim);
    hot.place(&hot.settled, &old);
    assert!(assert_caught(&hot.victim, &seal).contains("journal"));
    assert_eq!(recover(&hot.victim), Ok(()), "accepted: an older journal");
    assert!(!journal(&hot.victim).exists());
    assert!(assert_caught(&hot.victim, &seal).contains("at least one page"));
    // A journal that is kept, and not hot, is none of a seal's business.
    hot.place(&hot.settled, &[0; SECTOR]);
    assert_fits(&hot.victim, &seal);
}
