//! Older copies, which are authentic: nothing outside the files says how new they are. What DESIGN and SECURITY.md call
//! accepted is accepted, and `verify` finds nothing wrong with it. What a signed state of the whole file and an anchor make of
//! it is in `caught`.

use std::fs;

use crate::hot::{Hot, recover};
use crate::log::Log;
use crate::sample::{Outcome, Sample, contents, plain_pages, reported};
use crate::support::{PAGE, PAGES_AT, create, open, peek, poke, set_len, try_one, wal};

/// A second generation of a sample: same size, one leaf differs besides page 1.
fn rewritten(sample: &Sample) -> (Vec<u8>, Vec<u64>) {
    open(&sample.path)
        .execute_batch("UPDATE t SET c = randomblob(30) WHERE a = 2")
        .unwrap();
    let newer = fs::read(&sample.path).unwrap();
    assert_eq!(newer.len(), sample.whole.len());
    let changed = (1..=sample.pages())
        .filter(|&number| peek(&sample.path, sample.page_at(number), PAGE) != sample.page(number))
        .collect();
    (newer, changed)
}

#[test]
fn an_older_copy_of_a_page_is_accepted() {
    let sample = Sample::new();
    let (newer, changed) = rewritten(&sample);
    assert_eq!(changed.len(), 2, "page 1, and the one with the row");
    for number in changed {
        fs::write(&sample.path, &newer).unwrap();
        let now = contents(&open(&sample.path));
        assert!(now != sample.contents);
        poke(&sample.path, sample.page_at(number), sample.page(number));
        // Older rows where they were on that page.
        let replayed = if number == 1 { &now } else { &sample.contents };
        let outcome = crate::sample::attempt(&sample.path, replayed, "an older page");
        assert_eq!(outcome, Outcome::Whole, "page {number}");
        assert_eq!(reported(&sample.path), Vec::<String>::new());
    }
}

#[test]
fn an_older_copy_of_the_file_is_accepted() {
    let sample = Sample::new();
    rewritten(&sample);
    let outcome = crate::sample::attempt(&sample.path, &contents(&open(&sample.path)), "newer");
    assert_eq!(outcome, Outcome::Whole);
    sample.restore();
    assert_eq!(sample.attempt("the older file"), Outcome::Whole);
    assert_eq!(reported(&sample.path), Vec::<String>::new());
}

/// The header of the time before the first commit says that there are no pages yet.
#[test]
fn the_header_of_a_new_file_is_accepted_later_and_then_an_empty_file_is_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let connection = create(&path);
    connection
        .execute_batch("BEGIN; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);")
        .unwrap();
    connection.cache_flush().unwrap();
    let unborn = fs::read(&path).unwrap();
    assert!(unborn.len() as u64 >= PAGES_AT);
    connection
        .execute_batch("INSERT INTO t VALUES (1, 'x'); COMMIT;")
        .unwrap();
    drop(connection);
    let header = &unborn[..usize::try_from(PAGES_AT).unwrap()];
    assert!(peek(&path, 0, header.len()) != header);
    poke(&path, 0, header);
    assert_eq!(
        try_one::<i64>(&open(&path), "SELECT count(*) FROM t").unwrap(),
        1
    );
    // The file of the moment of its creation.
    set_len(&path, PAGES_AT);
    let tables = "SELECT count(*) FROM sqlite_master";
    assert_eq!(try_one::<i64>(&open(&path), tables).unwrap(), 0);
}

#[test]
fn a_log_that_is_deleted_is_accepted() {
    let log = Log::new();
    let victim = log.victim();
    victim.place(&log.database, &[]);
    fs::remove_file(wal(&victim.path)).unwrap();
    let outcome = victim.attempt(&log.states[0], "no log");
    assert_eq!(outcome, Outcome::Whole);
    assert_eq!(reported(&victim.path), Vec::<String>::new());
}

#[test]
fn an_older_log_of_the_same_file_is_accepted() {
    let earlier = Log::new();
    let (old, old_state) = (earlier.log.clone(), earlier.states.last().unwrap().clone());
    let log = earlier.next_generation();
    let victim = log.victim();
    // Everything checkpointed, nothing beside the file.
    victim.place(&log.database, &log.log);
    let newest = log.states.last().unwrap();
    let outcome = victim.attempt_and_checkpoint(newest, "checkpointed");
    assert_eq!(outcome, Outcome::Whole);
    let checkpointed = fs::read(&victim.path).unwrap();
    // The log of before: its pages return, and overlay what was checkpointed since.
    victim.place(&checkpointed, &old);
    assert_eq!(victim.attempt(&old_state, "older log"), Outcome::Whole);
    assert_eq!(reported(&victim.path), Vec::<String>::new());
    victim.place(&checkpointed, &[]);
    assert_eq!(victim.attempt(newest, "without it"), Outcome::Whole);
}

#[test]
fn a_hot_journal_that_is_deleted_is_accepted() {
    let hot = Hot::new();
    hot.place(&hot.database, &[]);
    assert_eq!(recover(&hot.victim), Ok(()));
    assert!(fs::read(&hot.victim).unwrap() == hot.database);
}

#[test]
fn an_older_journal_of_the_same_file_is_accepted() {
    let earlier = Hot::new();
    let (old, old_pages) = (earlier.journal.clone(), earlier.records());
    let old_before = earlier.settled.clone();
    let hot = earlier.next_transaction();
    // The file is at rest, and nothing is hot but what somebody put there.
    hot.place(&old_before, &[]);
    let then = plain_pages(&hot.victim, PAGE);
    hot.place(&hot.settled, &[]);
    let now = plain_pages(&hot.victim, PAGE);
    hot.place(&hot.settled, &old);
    assert_eq!(recover(&hot.victim), Ok(()));
    let after = plain_pages(&hot.victim, PAGE);
    assert!(after != now, "older pages returned");
    for record in old_pages {
        let index = usize::try_from(record.page - 1).unwrap();
        assert!(after[index] == then[index], "page {}", record.page);
    }
}
