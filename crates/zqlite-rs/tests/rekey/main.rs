//! A new key for a file in use, and who may open it: what stays readable for whom, at each step.
//!
//! `ZQLITE_KILLS`: kills of header updates and of rekeys (default 15 each), while two processes write.
#![cfg(all(unix, feature = "pq"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic, and children report"
)]

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;
use zqlite::pq::header::{Keyring, NewSlot, SlotKey};
use zqlite::pq::page::{TRAILER_LEN, Trailer};
use zqlite::pq::{Identity, RawKey, SigningKey};
use zqlite::{Builder, Error, OwnerOptions, RekeyOptions, Rekeyed, Who};

#[path = "../crash/rng.rs"]
mod rng;
#[path = "../support/support.rs"]
mod support;

mod killed;
mod recipients;
mod running;
mod torn;

use support::{PAGE, PAGES_AT, assert_sound, fill, mode, one, ring_of};

/// Three keys: the owner's, a colleague's, and that of someone who leaves.
const OWNER: [u8; 32] = [1; 32];
const COLLEAGUE: [u8; 32] = [2; 32];
const LEAVER: [u8; 32] = [3; 32];

fn slot(key: [u8; 32], label: &str) -> NewSlot {
    NewSlot {
        key: SlotKey::RawKey(RawKey::from_bytes(key)),
        label: label.to_owned(),
    }
}

/// A database of some hundred pages for all three, in a journal mode.
fn database(folder: &TempDir, journal_mode: &str) -> std::path::PathBuf {
    database_of(folder, journal_mode, None)
}

fn database_of(
    folder: &TempDir,
    journal_mode: &str,
    signing_key: Option<SigningKey>,
) -> std::path::PathBuf {
    let path = folder.path().join("a.db");
    let slots = vec![
        slot(OWNER, "owner"),
        slot(COLLEAGUE, "colleague"),
        slot(LEAVER, "leaver"),
    ];
    let mut builder = Builder::new(&path).raw_key(RawKey::from_bytes(OWNER));
    if let Some(key) = signing_key {
        builder = builder.sign_with(key);
    }
    let connection = builder.create(slots).open().unwrap();
    mode(&connection, journal_mode);
    fill(&connection, 3_000);
    path
}

fn signer() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn open_with(path: &Path, key: [u8; 32]) -> Result<Connection, Error> {
    let connection = Builder::new(path)
        .raw_key(RawKey::from_bytes(key))
        .accept_any_maker()
        .open()?;
    connection.query_row("SELECT count(*) FROM t", [], |_| Ok(()))?;
    Ok(connection)
}

fn owner() -> OwnerOptions {
    OwnerOptions::new(ring_of(OWNER))
}

fn rekey(path: &Path) -> Rekeyed {
    zqlite::rekey(path, RekeyOptions::new(ring_of(OWNER)), &mut |_| true).unwrap()
}

/// The epochs of the pages as they stand in the file.
fn epochs(path: &Path) -> Vec<u32> {
    let file = std::fs::read(path).unwrap();
    let pages = file[usize::try_from(PAGES_AT).unwrap()..].chunks_exact(PAGE);
    pages
        .map(|page| Trailer::decode(&page[PAGE - TRAILER_LEN..]).unwrap().epoch)
        .collect()
}

/// The header as the core sees it. No other process works with the file.
fn opened(path: &Path, key: [u8; 32]) -> zqlite::pq::header::Opened {
    let copy = |offset| support::peek(path, offset, 65_536);
    zqlite::pq::header::open(&copy(0), &copy(65_536), &ring_of(key)).unwrap()
}
