//! What the test binaries share: keys, connections, crash copies, and the sealed file seen from outside.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "every test binary uses a part of this"
)]

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use zqlite::pq::RawKey;
use zqlite::pq::header::{self, Keyring, NewSlot, Opened, SlotKey};
use zqlite::pq::page::PageSize;
use zqlite::vfs::{self, Access};
use zqlite::{Builder, VerifyOptions};

pub(crate) const KEY: [u8; 32] = [7; 32];
pub(crate) const PAGE: usize = 4_096;
/// Where the first page stands.
pub(crate) const PAGES_AT: u64 = 131_072;
/// SQLite's extended code for bytes that do not authenticate.
pub(crate) const IOERR_DATA: i32 = rusqlite::ffi::SQLITE_IOERR_DATA;

pub(crate) fn raw_key() -> RawKey {
    RawKey::from_bytes(KEY)
}

pub(crate) fn slots_of(key: [u8; 32]) -> Vec<NewSlot> {
    vec![NewSlot {
        key: SlotKey::RawKey(RawKey::from_bytes(key)),
        label: "test".to_owned(),
    }]
}

pub(crate) fn slots() -> Vec<NewSlot> {
    slots_of(KEY)
}

pub(crate) fn ring_of(key: [u8; 32]) -> Keyring {
    let mut ring = Keyring::new();
    ring.add_raw_key(RawKey::from_bytes(key));
    ring
}

pub(crate) fn ring() -> Keyring {
    ring_of(KEY)
}

pub(crate) fn builder(path: &Path) -> Builder {
    Builder::new(path).raw_key(raw_key())
}

/// Creates the file with pages of 4,096 bytes, or opens it.
pub(crate) fn create(path: &Path) -> Connection {
    builder(path).create(slots()).open().unwrap()
}

pub(crate) fn create_sized(path: &Path, page_size: u32) -> Connection {
    builder(path)
        .create(slots())
        .page_size(PageSize::new(page_size).unwrap())
        .open()
        .unwrap()
}

pub(crate) fn open(path: &Path) -> Connection {
    builder(path).open().unwrap()
}

/// Registers the key for a path, so that any client opens it by name of the VFS.
pub(crate) fn register(path: &Path) {
    vfs::register().unwrap();
    vfs::register_keys(path, Access::new(ring())).unwrap();
}

/// Registers the key for a path, with leave to create the file.
pub(crate) fn register_new(path: &Path) {
    vfs::register().unwrap();
    let access = Access::new(ring()).create(slots(), PageSize::default(), None);
    vfs::register_keys(path, access).unwrap();
}

/// Opens a URI with the flags that a plain client has.
pub(crate) fn open_uri(uri: &str) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(uri, OpenFlags::default())
}

pub(crate) fn one<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> T {
    try_one(connection, sql).unwrap()
}

pub(crate) fn try_one<T: rusqlite::types::FromSql>(
    connection: &Connection,
    sql: &str,
) -> rusqlite::Result<T> {
    connection.query_row(sql, [], |row| row.get(0))
}

pub(crate) fn mode(connection: &Connection, mode: &str) {
    let set: String = one(connection, &format!("PRAGMA journal_mode={mode}"));
    assert_eq!(set.to_lowercase(), mode.to_lowercase());
}

pub(crate) fn count(connection: &Connection) -> i64 {
    one(connection, "SELECT count(*) FROM t")
}

pub(crate) fn assert_sound(connection: &Connection) {
    let lines: String = one(
        connection,
        "SELECT group_concat(integrity_check) FROM pragma_integrity_check",
    );
    assert_eq!(lines, "ok");
}

/// The extended result code of an error.
pub(crate) fn code<T: std::fmt::Debug>(result: rusqlite::Result<T>) -> i32 {
    match result.expect_err("this must fail") {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
            error.extended_code
        }
        other => panic!("not an error of SQLite's: {other}"),
    }
}

/// Everything that `verify` finds wrong.
pub(crate) fn problems(path: &Path) -> Vec<String> {
    zqlite::verify(path, VerifyOptions::new(ring()), &mut |_| true)
        .unwrap()
        .problems
}

pub(crate) fn assert_clean(path: &Path) {
    assert_eq!(problems(path), Vec::<String>::new(), "{}", path.display());
}

/// Fills table `t` with rows of about 400 bytes.
pub(crate) fn fill(connection: &Connection, rows: u32) {
    connection
        .execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b TEXT);
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<{rows})
             INSERT INTO t(b) SELECT hex(randomblob(200)) FROM n;"
        ))
        .unwrap();
}

/// Something that changes with any row.
pub(crate) fn fingerprint(connection: &Connection) -> String {
    one(
        connection,
        "SELECT count(*) || ':' || coalesce(sum(length(b)),0) || ':' || coalesce(group_concat(substr(b,1,8)),'') FROM t",
    )
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(crate) fn wal(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

pub(crate) fn journal(path: &Path) -> PathBuf {
    beside(path, "-journal")
}

/// Copies a database as a crash at this moment would leave it: the shared memory is lost.
pub(crate) fn crash_copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    for suffix in ["-wal", "-journal"] {
        drop(fs::remove_file(beside(to, suffix)));
        if beside(from, suffix).exists() {
            fs::copy(beside(from, suffix), beside(to, suffix)).unwrap();
        }
    }
    drop(fs::remove_file(beside(to, "-shm")));
}

/// Writes bytes into the middle of a file.
pub(crate) fn poke(path: &Path, offset: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

pub(crate) fn peek(path: &Path, offset: u64, len: usize) -> Vec<u8> {
    let mut file = fs::File::open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    let mut bytes = vec![0; len];
    file.read_exact(&mut bytes).unwrap();
    bytes
}

/// Flips one bit.
pub(crate) fn flip(path: &Path, offset: u64) {
    let byte = peek(path, offset, 1);
    poke(path, offset, &[byte[0] ^ 1]);
}

pub(crate) fn set_len(path: &Path, len: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(len).unwrap();
}

pub(crate) fn len(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// Physical offset of a page of 4,096 bytes, before the hole.
pub(crate) fn page_at(number: u64) -> u64 {
    PAGES_AT + (number - 1) * PAGE as u64
}

/// The file's header and keys, as the core sees them.
pub(crate) fn header_of(path: &Path) -> Opened {
    let a = peek(path, 0, 65_536);
    let b = peek(path, 65_536, 65_536);
    header::open(&a, &b, &ring()).unwrap()
}

/// The nonces of all pages in the file.
pub(crate) fn nonces(path: &Path) -> Vec<[u8; 24]> {
    let bytes = fs::read(path).unwrap();
    bytes[usize::try_from(PAGES_AT).unwrap()..]
        .chunks_exact(PAGE)
        .map(|page| page[PAGE - 48..PAGE - 24].try_into().unwrap())
        .collect()
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == needle[0] && haystack[at..].starts_with(needle))
}
