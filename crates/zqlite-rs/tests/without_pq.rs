//! Without feature `pq` the builder opens plain databases, and refuses every key.
//!
//!     cargo test -p zqlite-rs --no-default-features --features bundled,rusqlite --test without_pq
#![cfg(not(feature = "pq"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use zqlite::keys::{
    Argon2Params, Identity, Keyring, NewSlot, PageSize, Passphrase, RawKey, SlotKey,
};
use zqlite::{Builder, Error};

fn count(connection: &rusqlite::Connection) -> i64 {
    connection
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_plain_database_is_created_and_opened_with_the_same_guards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.db");
    let size = PageSize::new(8_192).unwrap();
    let connection = Builder::new(&path)
        .create(Vec::new())
        .page_size(size)
        .open()
        .unwrap();
    connection
        .execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
        .unwrap();
    assert!(
        connection
            .execute_batch("ATTACH 'other.db' AS other")
            .is_err()
    );
    drop(connection);
    assert!(
        std::fs::read(&path)
            .unwrap()
            .starts_with(b"SQLite format 3\0")
    );
    let connection = Builder::new(&path)
        .accept_any_maker()
        .read_only()
        .open()
        .unwrap();
    assert_eq!(count(&connection), 1);
    let page_size: u32 = connection
        .query_row("PRAGMA page_size", [], |row| row.get(0))
        .unwrap();
    assert_eq!(page_size, 8_192);
    assert!(connection.execute("INSERT INTO t VALUES (2)", []).is_err());
}

#[test]
fn a_key_is_an_error_and_never_a_plain_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.db");
    let raw = || RawKey::from_bytes([7; 32]);
    let params = Argon2Params {
        memory_kib: 65_536,
        passes: 3,
        lanes: 4,
    };
    let slot = |key| {
        vec![NewSlot {
            key,
            label: String::new(),
        }]
    };
    let mut ring = Keyring::new();
    assert!(ring.is_empty());
    ring.add_raw_key(raw());
    let new = || Builder::new(&path).create(Vec::new());
    let builders = [
        new().raw_key(raw()),
        new().passphrase(Passphrase::from_bytes(b"secret".to_vec())),
        new().keyring(ring),
        Builder::new(&path).create(slot(SlotKey::RawKey(raw()))),
        Builder::new(&path).create(slot(SlotKey::Passphrase(
            Passphrase::from_bytes(b"x".to_vec()),
            params,
        ))),
    ];
    for builder in builders {
        assert!(matches!(builder.open(), Err(Error::KeysUnsupported)));
        assert!(!path.exists());
    }
    assert!(Identity::parse("AGE-SECRET-KEY-PQ-1").is_err());
    assert!(new().open().is_ok());
}
