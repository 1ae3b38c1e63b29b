//! A crash at every moment of what SQLite does to a sealed database, and power cuts that lose any part of what was
//! not synced. Whatever is left opens, is sound, and holds the state after one of the transactions: none that was
//! acknowledged is missing, none is half there. Plain SQLite over the same disk is the control: it keeps the same
//! promises, or the disk would be one that SQLite does not ask for.
//!
//! The disk is a VFS in memory below ours that records. It assumes what SQLite assumes: sectors of 512 bytes are
//! written whole or not at all, and a write changes nothing beside it. Every 150th image is opened in a folder of the
//! operating system, too.
//!
//! `ZQLITE_CRASH_IMAGES`: power cuts for each workload (default 150). `ZQLITE_CRASH_SEED`: the seed (default 1).
#![cfg(all(target_os = "linux", feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and say what they skip"
)]

#[path = "../support/support.rs"]
mod support;

mod disk;
mod image;
mod owner;
mod replay;
mod rng;
mod workload;

use replay::{Counts, Kind, Replay};
use rng::Rng;
use workload::{Promise, Workload};

/// Prefixes of one workload that are opened.
const PREFIXES: usize = 2_000;

const WAL: &str = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;";
const WAL_SMALL: &str =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=8;";
const WAL_NORMAL: &str =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=8;";
const WAL_EXCLUSIVE: &str = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;
    PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=8; PRAGMA journal_size_limit=0;";
const DELETE: &str = "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL;";
const DELETE_EXTRA: &str = "PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA;";
const PERSIST: &str = "PRAGMA journal_mode=PERSIST; PRAGMA synchronous=FULL;";
const PERSIST_NORMAL: &str = "PRAGMA journal_mode=PERSIST; PRAGMA synchronous=NORMAL;";
const TRUNCATE_NORMAL: &str = "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=NORMAL;";
const TRUNCATE: &str = "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL;";

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn run(workload: &Workload, kind: Kind, images: u64, seed: u64) -> Counts {
    let images = usize::try_from(images).unwrap();
    let mut replay = Replay::record(workload, kind);
    replay.every_prefix(PREFIXES);
    replay.power_cuts(images, images / 20, &mut Rng::new(seed));
    assert_eq!(replay.counts.cuts.abs_diff(images) * 4 / images.max(1), 0);
    assert!(replay.counts.prefixes > 50, "{:?}", replay.counts);
    replay.counts
}

fn seed_and_images() -> (u64, u64) {
    let seed = number("ZQLITE_CRASH_SEED", 1);
    println!("ZQLITE_CRASH_SEED={seed}");
    (seed, number("ZQLITE_CRASH_IMAGES", 150))
}

/// Sealed, and plain as the control.
fn survives(workload: impl Fn(u64) -> Workload) {
    let (seed, images) = seed_and_images();
    let workload = workload(seed);
    let plain = run(&workload, Kind::Plain, images, seed);
    println!("plain: {plain:?}");
    let sealed = run(&workload, Kind::Sealed, images, seed);
    println!("sealed: {sealed:?}");
    assert!(sealed.in_recovery > 0, "{sealed:?}");
}

#[test]
fn a_log_that_is_never_checkpointed_loses_nothing() {
    survives(|seed| workload::mixed(seed, WAL, Promise::Acknowledged));
}

#[test]
fn a_log_with_checkpoints_of_every_kind_loses_nothing() {
    survives(|seed| workload::checkpoints(seed, WAL_SMALL, Promise::Acknowledged));
}

#[test]
fn a_log_that_is_synced_at_checkpoints_only_loses_nothing_before_the_last_sync() {
    survives(|seed| workload::checkpoints(seed, WAL_NORMAL, Promise::LastSync));
}

#[test]
fn a_log_without_shared_memory_loses_nothing() {
    survives(|seed| workload::checkpoints(seed, WAL_EXCLUSIVE, Promise::Acknowledged));
}

#[test]
fn a_log_that_is_written_over_within_a_transaction_loses_nothing() {
    survives(|seed| workload::spilling(seed, WAL_SMALL, Promise::Acknowledged));
}

#[test]
fn a_journal_that_is_deleted_loses_nothing_but_by_its_return() {
    survives(|seed| workload::mixed(seed, DELETE, Promise::UnlessJournalIsBack));
}

#[test]
fn a_journal_whose_deletion_is_synced_loses_nothing() {
    survives(|seed| workload::mixed(seed, DELETE_EXTRA, Promise::Acknowledged));
}

#[test]
fn a_journal_that_persists_loses_nothing() {
    survives(|seed| workload::mixed(seed, PERSIST, Promise::Acknowledged));
}

/// SQLite syncs records and their count at once here. Its own checksum of a record may miss that it is torn, so that
/// there is no control.
#[test]
fn a_journal_that_is_synced_once_loses_nothing() {
    let (seed, images) = seed_and_images();
    for workload in [
        workload::mixed(seed, PERSIST_NORMAL, Promise::Acknowledged),
        workload::creation(seed, TRUNCATE_NORMAL, Promise::LastSync),
    ] {
        let counts = run(&workload, Kind::Sealed, images, seed);
        println!("sealed: {counts:?}");
    }
}

#[test]
fn a_journal_that_is_truncated_loses_nothing() {
    survives(|seed| workload::mixed(seed, TRUNCATE, Promise::Acknowledged));
}

#[test]
fn a_journal_of_many_segments_loses_nothing() {
    survives(|seed| workload::spilling(seed, DELETE_EXTRA, Promise::Acknowledged));
    survives(|seed| workload::spilling(seed, PERSIST, Promise::Acknowledged));
}

#[test]
fn a_file_that_shrinks_with_its_rows_loses_nothing() {
    survives(|seed| workload::shrinking(seed, DELETE_EXTRA, "FULL", Promise::Acknowledged));
    survives(|seed| workload::shrinking(seed, PERSIST, "INCREMENTAL", Promise::Acknowledged));
    survives(|seed| workload::shrinking(seed, WAL_SMALL, "FULL", Promise::Acknowledged));
}

#[test]
fn a_vacuum_loses_nothing() {
    survives(|seed| workload::vacuum(seed, DELETE_EXTRA, Promise::Acknowledged));
    survives(|seed| workload::vacuum(seed, WAL_SMALL, Promise::Acknowledged));
}

#[test]
fn a_transaction_over_two_files_is_in_both_or_in_none() {
    survives(|seed| workload::attached(seed, DELETE, Promise::Acknowledged));
    survives(|seed| workload::attached(seed, PERSIST, Promise::Acknowledged));
}

#[test]
fn a_database_that_is_being_created_is_there_or_not() {
    survives(|seed| workload::creation(seed, DELETE, Promise::UnlessJournalIsBack));
    survives(|seed| workload::creation(seed, PERSIST, Promise::UnlessJournalIsBack));
    survives(|seed| workload::creation(seed, WAL_SMALL, Promise::UnlessJournalIsBack));
}

#[test]
fn a_header_copy_of_which_any_sector_is_missing_takes_nothing_with_it() {
    let workload = workload::creation(1, DELETE, Promise::UnlessJournalIsBack);
    let torn = Replay::record(&workload, Kind::Sealed).torn_headers();
    // What comes before the first copy, 1 and 127 sectors; both copies of the new file; both once it is populated.
    assert_eq!(torn, 2 * (1 + 29 + 4 * 30));
}

#[test]
fn keys_that_come_and_go_with_a_log_take_nothing_with_them() {
    owners_acts(WAL_SMALL, Promise::Acknowledged);
}

#[test]
fn keys_that_come_and_go_with_a_rollback_journal_take_nothing_with_them() {
    owners_acts(DELETE_EXTRA, Promise::Acknowledged);
}

/// Power cuts in header updates and in a rekey, whose journal the disk sees, too.
fn owners_acts(pragmas: &str, promise: Promise) {
    let (seed, images) = seed_and_images();
    let workload = workload::owners(seed, pragmas, promise);
    let counts = run(&workload, Kind::Sealed, images, seed);
    println!("sealed: {counts:?}");
    assert!(counts.rekeys_finished > 10, "{counts:?}");
    let rekey = workload::rekey(seed, pragmas, promise);
    let mut replay = Replay::record(&rekey, Kind::Sealed);
    let images = usize::try_from(images).unwrap();
    replay.power_cuts_during(2, images, images / 20, &mut Rng::new(seed));
    let counts = replay.counts;
    println!("rekey: {counts:?}");
    assert!(
        counts.with_pages_in_rekey_journal > images / 100,
        "{counts:?}"
    );
    let mut replay = Replay::record(&workload, Kind::Sealed);
    let torn = replay.torn_headers();
    println!("{torn} torn headers: {:?}", replay.counts);
    assert!(torn > 400 && replay.counts.rekeys_finished > 0, "{torn}");
}

#[test]
fn a_page_that_is_torn_is_healed_or_free() {
    let workload = workload::shrinking(1, PERSIST, "NONE", Promise::Acknowledged);
    let mut replay = Replay::record(&workload, Kind::Sealed);
    let torn = replay.torn_pages();
    println!("{torn} torn pages: {:?}", replay.counts);
    let free = replay.counts.with_torn_free_pages;
    assert!(torn > 50 && free > 0 && free < torn / 2);
    // Plain SQLite reads anything from such a page, and writes over it.
    assert!(replay.counts.not_vacuumed > 0);
    let workload = workload::mixed(1, WAL_SMALL, Promise::Acknowledged);
    let mut replay = Replay::record(&workload, Kind::Sealed);
    assert!(replay.torn_pages() > 50);
    assert_eq!(replay.counts.with_torn_free_pages, 0);
}
