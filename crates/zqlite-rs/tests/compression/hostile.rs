//! Stored values that somebody made up.

use rusqlite::ffi::{SQLITE_CORRUPT, SQLITE_ERROR, SQLITE_TOOBIG};
use rusqlite::limits::Limit;

use super::*;

fn functions() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    compression::register(&connection).unwrap();
    connection
}

fn read(connection: &Connection, stored: &[u8]) -> rusqlite::Result<Value> {
    connection.query_row("SELECT zqlite_decompress(?1)", [stored], |row| row.get(0))
}

fn store(connection: &Connection, value: &str) -> Vec<u8> {
    connection
        .query_row("SELECT zqlite_compress(?1, NULL)", [value], |row| {
            row.get(0)
        })
        .unwrap()
}

/// A stored text whose frame says that it has so many bytes: a single segment, a length of eight bytes, and then a
/// last block of one byte that is repeated.
fn claims(len: u64) -> Vec<u8> {
    let block = (1_u32 | 1 << 1 | 100 << 3).to_le_bytes();
    [
        &[0x7a, 0xfb, 0xe0][..],
        &len.to_le_bytes(),
        &block[..3],
        b"x",
    ]
    .concat()
}

#[test]
fn a_frame_that_claims_too_much_is_refused_before_memory_is_taken() {
    let connection = functions();
    let right = read(&connection, &claims(100)).unwrap();
    assert_eq!(right, Value::Text("x".repeat(100)));
    for wrong in [99, 101, 65_536, 64 << 20] {
        let outcome = read(&connection, &claims(wrong));
        assert_eq!(support::code(outcome), SQLITE_CORRUPT, "{wrong}");
    }
    for huge in [(64 << 20) + 1, 1 << 40, u64::MAX - 2] {
        let outcome = read(&connection, &claims(huge));
        assert_eq!(support::code(outcome), SQLITE_TOOBIG, "{huge}");
    }
}

#[test]
fn the_limit_of_the_connection_counts_too() {
    let connection = functions();
    let value = "limit ".repeat(100_000);
    let stored = store(&connection, &value);
    assert_eq!(read(&connection, &stored).unwrap(), Value::Text(value));
    connection
        .set_limit(Limit::SQLITE_LIMIT_LENGTH, 500_000)
        .unwrap();
    let outcome = read(&connection, &stored);
    assert_eq!(support::code(outcome), SQLITE_TOOBIG);
    let small = store(&connection, &"small ".repeat(100));
    assert!(read(&connection, &small).is_ok());
}

#[test]
fn a_frame_that_does_not_say_how_long_it_is_is_refused() {
    let connection = functions();
    let content = "stream ".repeat(50);
    let frame = zstd_stream(content.as_bytes());
    let stored = [&[0x7a, 0xfb][..], &frame[4..]].concat();
    assert_eq!(support::code(read(&connection, &stored)), SQLITE_CORRUPT);
    let right = store(&connection, &content);
    assert_eq!(read(&connection, &right).unwrap(), Value::Text(content));
}

/// A frame without the length of its content: no single segment, a window of one kibibyte, one block as it is.
fn zstd_stream(content: &[u8]) -> Vec<u8> {
    let block = u32::try_from(content.len()).unwrap() << 3 | 1;
    [
        &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00][..],
        &block.to_le_bytes()[..3],
        content,
    ]
    .concat()
}

#[test]
fn a_value_that_is_cut_or_lengthened_is_refused_at_every_length() {
    let connection = functions();
    let stored = store(&connection, &meta(1).repeat(3));
    for len in 2..stored.len() {
        let outcome = read(&connection, &stored[..len]);
        assert_eq!(support::code(outcome), SQLITE_CORRUPT, "{len}");
    }
    let longer = [&stored[..], &[0]].concat();
    assert_eq!(support::code(read(&connection, &longer)), SQLITE_CORRUPT);
    // Two frames are not one value.
    let twice = [&stored[..], &[0x28, 0xb5, 0x2f, 0xfd], &stored[2..]].concat();
    assert_eq!(support::code(read(&connection, &twice)), SQLITE_CORRUPT);
    assert!(read(&connection, &stored).is_ok());
}

#[test]
fn a_dictionary_that_nobody_has_is_named_in_the_error() {
    let (_folder, connection) = guarded();
    peers(&connection, 200);
    compress(&connection, "peer", "meta").unwrap();
    let stored: Vec<u8> = support::one(
        &connection,
        "SELECT meta FROM peer_zqlite_rows WHERE id = 1",
    );
    assert_eq!(stored[..2], [0x7a, 0xfd]);
    let mut other = stored.clone();
    other[2..10].copy_from_slice(&77_i64.to_be_bytes());
    let error = read(&connection, &other).unwrap_err();
    assert!(
        error.to_string().contains("no dictionary has the id 77"),
        "{error}"
    );
    assert_eq!(support::code::<Value>(Err(error)), SQLITE_ERROR);
    assert_eq!(read(&connection, &stored).unwrap(), Value::Text(meta(1)));
}

#[test]
fn a_dictionary_that_was_altered_in_its_table_is_damage() {
    let (folder, connection) = guarded();
    peers(&connection, 200);
    compress(&connection, "peer", "meta").unwrap();
    let sum = "SELECT sum(length(meta)) FROM peer";
    let before: i64 = support::one(&connection, sum);
    let path = folder.path().join("a.db");
    let mut ran = 0;
    for (change, undo) in [
        ("level = 4", "level = 3"),
        ("version = 9", "version = 1"),
        ("\"table\" = 'x'", "\"table\" = 'peer'"),
        ("dictionary = 5", "level = 3"),
    ] {
        let update = |what| format!("UPDATE zqlite_dictionaries SET {what}");
        connection.execute_batch(&update(change)).unwrap();
        let outcome = support::try_one::<i64>(&support::open(&path), sum);
        assert_eq!(support::code(outcome), SQLITE_CORRUPT, "{change}");
        // Who knows the dictionary still reads what was written with it.
        assert_eq!(support::one::<i64>(&connection, sum), before);
        connection.execute_batch(&update(undo)).unwrap();
        if change != "dictionary = 5" {
            assert_eq!(support::one::<i64>(&support::open(&path), sum), before);
        }
        ran += 1;
    }
    assert_eq!(ran, 4);
}

#[test]
fn a_dictionary_that_needs_itself_to_be_read_is_an_error() {
    let (folder, connection) = guarded();
    peers(&connection, 200);
    compress(&connection, "peer", "meta").unwrap();
    connection
        .execute_batch(
            "ALTER TABLE zqlite_dictionaries RENAME TO real;
             CREATE TABLE zqlite_dictionaries(id, \"table\", \"column\", version, level, stored,
               dictionary AS (zqlite_decompress(stored)));
             INSERT INTO zqlite_dictionaries SELECT id, \"table\", \"column\", version, level,
               (SELECT meta FROM peer_zqlite_rows WHERE id = 1) FROM real;",
        )
        .unwrap();
    let other = support::open(&folder.path().join("a.db"));
    let outcome = support::try_one::<String>(&other, "SELECT meta FROM peer WHERE id = 1");
    assert_eq!(support::code(outcome), SQLITE_CORRUPT);
}

#[test]
fn a_dictionary_that_zstd_does_not_take_is_damage() {
    use sha2::{Digest, Sha256};
    let (folder, connection) = guarded();
    peers(&connection, 200);
    compress(&connection, "peer", "meta").unwrap();
    let path = folder.path().join("a.db");
    let good: Vec<u8> = support::one(&connection, "SELECT dictionary FROM zqlite_dictionaries");
    let mut ran = 0;
    for (name, bytes, is_good) in [
        ("as it was", good.clone(), true),
        ("its beginning", good[..8].to_vec(), false),
        (
            "tables of rubbish",
            [&good[..8], &[0xa5; 500][..]].concat(),
            false,
        ),
    ] {
        // The id says that it is this very dictionary.
        let hash = Sha256::new()
            .chain_update(b"peer\0meta\0")
            .chain_update(1_i64.to_be_bytes())
            .chain_update(3_i32.to_be_bytes())
            .chain_update(&bytes)
            .finalize();
        let id = i64::from_be_bytes(hash[..8].try_into().unwrap());
        connection
            .execute(
                "UPDATE zqlite_dictionaries SET id = ?1, dictionary = ?2",
                (id, bytes),
            )
            .unwrap();
        connection
            .execute(
                "UPDATE peer_zqlite_rows SET meta = substr(meta, 1, 2) || ?1 || substr(meta, 11)",
                [id.to_be_bytes()],
            )
            .unwrap();
        connection
            .execute_batch("UPDATE peer_zqlite_rows SET meta = CAST(meta AS BLOB)")
            .unwrap();
        let other = support::open(&path);
        let read = support::try_one::<String>(&other, "SELECT meta FROM peer WHERE id = 9");
        let wrote = other.execute("INSERT INTO peer VALUES (NULL, ?1, ?2)", (name, meta(3)));
        if is_good {
            assert_eq!((read.unwrap(), wrote.unwrap()), (meta(9), 0));
        } else {
            assert_eq!(support::code(read), SQLITE_CORRUPT, "{name}");
            assert_eq!(support::code(wrote), SQLITE_CORRUPT, "{name}");
        }
        ran += 1;
    }
    assert_eq!(ran, 3);
}
