//! Files of the product, read by the second implementation: `kat-vectors/format/read_format.py`.
//!
//! Runs where `ZQLITE_PYTHON` names a Python that has the packages of `kat-vectors/format/README.md`.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use zqlite::Builder;
use zqlite::pq::header::{Expected, Keyring, NewSlot, SlotKey};
use zqlite::pq::page::PageSize;
use zqlite::pq::passphrase::Argon2Params;
use zqlite::pq::{Identity, Passphrase, RawKey, SigningKey};
use zqlite::rusqlite::Connection;

use super::{Case, beside, rows};

const QUERIES: [&str; 4] = [
    "SELECT count(*), sum(id), sum(length(data)) FROM item",
    "SELECT id, name, hex(substr(data, 1, 4)) FROM item ORDER BY name, id LIMIT 20",
    "SELECT count(*), max(b) FROM other",
    "PRAGMA integrity_check",
];

/// One kind of key, with what the reader needs to use it.
struct Key {
    kind: &'static str,
    option: &'static str,
    text: String,
    slot: fn() -> SlotKey,
    add: fn(&mut Keyring),
}

fn identity() -> Identity {
    Identity::from_seed([0x21; 32])
}

fn passphrase() -> Passphrase {
    Passphrase::from_bytes("naïve passphrase".as_bytes().to_vec())
}

fn signing_key() -> SigningKey {
    SigningKey::from_seed([0x23; 32])
}

fn keys() -> [Key; 3] {
    [
        Key {
            kind: "recipient",
            option: "--identity",
            text: identity().to_text().to_string(),
            slot: || SlotKey::Recipient(identity().recipient()),
            add: |keyring| keyring.add_identity(identity()),
        },
        Key {
            kind: "passphrase",
            option: "--passphrase-file",
            text: "naïve passphrase".to_owned(),
            slot: || SlotKey::Passphrase(passphrase(), Argon2Params::MIN),
            add: |keyring| keyring.add_passphrase(passphrase()),
        },
        Key {
            kind: "raw-key",
            option: "--raw-key-file",
            text: "22".repeat(32),
            slot: || SlotKey::RawKey(RawKey::from_bytes([0x22; 32])),
            add: |keyring| keyring.add_raw_key(RawKey::from_bytes([0x22; 32])),
        },
    ]
}

/// The interpreter that was named, if any.
#[expect(clippy::print_stdout, reason = "says that a test was skipped")]
fn python() -> Option<String> {
    let python = std::env::var("ZQLITE_PYTHON")
        .ok()
        .filter(|python| !python.is_empty());
    if python.is_none() {
        println!("skipped: ZQLITE_PYTHON names no Python");
    }
    python
}

fn read(python: &str, sealed: &Path, key: &Key, more: &[&str]) -> Output {
    let dir = sealed.parent().unwrap();
    let key_file = dir.join("key-for-the-reader");
    std::fs::write(&key_file, format!("{}\n", key.text)).unwrap();
    Command::new(python)
        .arg(super::folder().join("read_format.py"))
        .arg(sealed)
        .arg(key.option)
        .arg(key_file)
        .args(more)
        .arg("-o")
        .arg(dir.join("plain"))
        .output()
        .unwrap()
}

/// What the reader reports, and the plain database that SQLite recovers from what it wrote.
fn read_plain(python: &str, sealed: &Path, key: &Key, more: &[&str]) -> (Case, Connection) {
    let output = read(python, sealed, key, more);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (
        Case(report),
        Connection::open(sealed.with_file_name("plain")).unwrap(),
    )
}

fn answers(connection: &Connection) -> Vec<Vec<Vec<Value>>> {
    QUERIES
        .iter()
        .map(|sql| rows(connection, sql).unwrap())
        .collect()
}

fn create(path: &Path, key: &Key, page_size: u32, signed: bool) -> Connection {
    let mut keyring = Keyring::new();
    (key.add)(&mut keyring);
    let slot = NewSlot {
        key: (key.slot)(),
        label: format!("{} of the test", key.kind),
    };
    let mut builder = Builder::new(path).keyring(keyring).create(vec![slot]);
    builder = builder.page_size(PageSize::new(page_size).unwrap());
    builder = if signed {
        let expected = Expected {
            key: signing_key().verifying_key().clone(),
            file_id: None,
        };
        builder.sign_with(signing_key()).signed_by(expected)
    } else {
        builder.accept_any_maker()
    };
    builder.open().unwrap()
}

/// Many transactions, more pages than one nonce batch seals, overflow pages, freed pages, an index.
fn write(connection: &Connection, page_size: u32) {
    let rows = 1_500 * 4_096 / page_size * 2;
    let sql = format!(
        "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, data BLOB);
         CREATE INDEX item_name ON item(name);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<{rows})
         INSERT INTO item SELECT i, 'name-'||(i*7919%1000), randomblob({}) FROM n;
         INSERT INTO item VALUES(100000, 'grüße', randomblob(300000));
         CREATE TABLE other(a INTEGER PRIMARY KEY, b TEXT);",
        page_size / 2
    );
    connection.execute_batch(&sql).unwrap();
    for i in 0..40 {
        let sql = "INSERT INTO other VALUES(?1, hex(randomblob(50)))";
        connection.execute(sql, [i]).unwrap();
        let sql = "UPDATE item SET data=randomblob(100) WHERE id%41=?1";
        connection.execute(sql, [i]).unwrap();
    }
    connection
        .execute("DELETE FROM item WHERE id BETWEEN 50 AND 90", [])
        .unwrap();
}

#[test]
fn files_of_the_product_are_read_by_the_second_implementation() {
    let Some(python) = python() else { return };
    let verifying_key = signing_key().verifying_key().to_string();
    let mut files = 0;
    for key in keys() {
        for page_size in [4_096, 8_192, 65_536] {
            let signed = key.kind == "recipient";
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("sealed");
            let connection = create(&path, &key, page_size, signed);
            write(&connection, page_size);
            let expected = answers(&connection);
            drop(connection);
            let more: &[&str] = if signed {
                &["--verify-key", &verifying_key]
            } else {
                &[]
            };
            let (report, plain) = read_plain(&python, &path, &key, more);
            assert_eq!(answers(&plain), expected);
            assert_eq!(report.number::<u32>("page_size"), page_size);
            assert_eq!(report.get("signed").0, Value::Bool(signed));
            if signed {
                assert_eq!(report.text("verifying_key"), verifying_key);
            }
            assert!(report.get("populated").0.as_bool().unwrap());
            assert_eq!(report.get("notes").0, Value::Array(Vec::new()));
            let slots = report.list("slots");
            assert_eq!(slots.len(), 1);
            assert_eq!(slots[0].text("kind"), key.kind);
            assert_eq!(slots[0].text("label"), format!("{} of the test", key.kind));
            files += 1;
        }
    }
    assert_eq!(files, 9);
}

#[test]
fn a_live_wal_of_the_product_is_read_by_the_second_implementation() {
    let Some(python) = python() else { return };
    for (key, page_size) in keys().into_iter().zip([4_096, 8_192, 65_536]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealed");
        let connection = create(&path, &key, page_size, false);
        let mode = "PRAGMA journal_mode=WAL";
        assert_eq!(rows(&connection, mode).unwrap(), [[Value::from("wal")]]);
        write(&connection, page_size);
        rows(&connection, "PRAGMA wal_checkpoint(RESTART)").unwrap();
        rows(&connection, "PRAGMA wal_autocheckpoint=0").unwrap();
        // Over the beginning of the old log, with new salts.
        connection
            .execute("UPDATE item SET name='wal-'||id WHERE id%3=0", [])
            .unwrap();
        connection
            .execute("INSERT INTO other VALUES(1000, 'later')", [])
            .unwrap();
        let expected = answers(&connection);
        // Not committed: spilled into the log, and no part of the database.
        connection
            .execute_batch("PRAGMA cache_size=2; BEGIN; UPDATE item SET data=randomblob(500)")
            .unwrap();
        assert!(beside(&path, "-wal").metadata().unwrap().len() > 0);
        let (report, plain) = read_plain(&python, &path, &key, &[]);
        assert_eq!(answers(&plain), expected);
        let notes = report.get("notes").0.to_string();
        assert!(notes.contains("WAL masked under epoch 1"), "{notes}");
        connection.execute_batch("ROLLBACK").unwrap();
        assert_eq!(answers(&connection), expected);
    }
}

#[test]
fn a_hot_journal_of_the_product_is_rolled_back_by_the_second_implementation() {
    let Some(python) = python() else { return };
    for (key, page_size) in keys().into_iter().zip([4_096, 8_192, 65_536]) {
        for synchronous in ["FULL", "OFF"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("sealed");
            let connection = create(&path, &key, page_size, false);
            write(&connection, page_size);
            let expected = answers(&connection);
            let sql = format!(
                "PRAGMA synchronous={synchronous}; PRAGMA cache_size=5; BEGIN;
                 UPDATE item SET name='lost', data=randomblob(700);
                 INSERT INTO other SELECT id+5000, name FROM item;"
            );
            connection.execute_batch(&sql).unwrap();
            // As a crash would leave them.
            let crashed = dir.path().join("crashed");
            for suffix in ["", "-journal"] {
                std::fs::copy(beside(&path, suffix), beside(&crashed, suffix)).unwrap();
            }
            let (report, plain) = read_plain(&python, &crashed, &key, &[]);
            assert_eq!(answers(&plain), expected, "{synchronous}");
            let notes = report.get("notes").0.to_string();
            assert!(notes.contains("journal segment"), "{notes}");
            let never_synced = notes.contains("0xffffffff");
            assert_eq!(never_synced, synchronous == "OFF", "{notes}");
            drop(connection);
        }
    }
}

#[test]
fn the_second_implementation_refuses_what_the_product_refuses() {
    let Some(python) = python() else { return };
    let key = &keys()[2];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sealed");
    let connection = create(&path, key, 4_096, false);
    connection
        .execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES(1)")
        .unwrap();
    drop(connection);
    let status = |key: &Key, more: &[&str]| read(&python, &path, key, more).status.code();
    assert_eq!(status(key, &[]), Some(0));
    let [_, _, mut other] = keys();
    other.text = "44".repeat(32);
    assert_eq!(status(&other, &[]), Some(3));
    let verifying_key = signing_key().verifying_key().to_string();
    assert_eq!(status(key, &["--verify-key", &verifying_key]), Some(5));
    super::flip(&path, 131_072 + 4_096 + 100);
    assert_eq!(status(key, &[]), Some(4));
}
