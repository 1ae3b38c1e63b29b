//! Shadow tables that somebody altered.

use rusqlite::ffi::SQLITE_CORRUPT_VTAB;

use super::*;

/// A connection that may write shadow tables, and a table with chunks.
fn bare() -> (tempfile::TempDir, Connection) {
    let (folder, connection) = guarded();
    for time in 0..200 {
        put(
            &connection,
            "a",
            time * 3,
            f64::from(i32::try_from(time).unwrap()),
        );
    }
    drop(connection);
    let bare = support::builder(&folder.path().join("a.db"))
        .allow_schema_writes()
        .open()
        .unwrap();
    (folder, bare)
}

#[test]
fn shadow_tables_are_not_written_by_sql() {
    let (folder, bare) = bare();
    drop(bare);
    let connection = support::open(&folder.path().join("a.db"));
    for table in ["state", "series", "chunks", "points", "recent"] {
        let outcome = connection.execute(&format!("DELETE FROM m_{table}"), []);
        assert_eq!(
            support::code(outcome),
            rusqlite::ffi::SQLITE_ERROR,
            "{table}"
        );
    }
    assert_eq!(
        support::one::<i64>(&connection, "SELECT count(*) FROM m"),
        200
    );
}

#[test]
fn chunks_that_say_something_else_are_damage_and_named_by_the_integrity_check() {
    let changes = [
        "UPDATE m_chunks SET count = count + 1",
        "UPDATE m_chunks SET count = 0",
        "UPDATE m_chunks SET count = -1",
        "UPDATE m_chunks SET count = 9223372036854775807",
        "UPDATE m_chunks SET count = 'many'",
        "UPDATE m_chunks SET last = first - 1",
        "UPDATE m_chunks SET last = last + 1",
        "UPDATE m_chunks SET first = first - 1 WHERE id = 1",
        "UPDATE m_points SET times = x''",
        "UPDATE m_points SET times = zeroblob(50)",
        "UPDATE m_points SET times = numbers",
        "UPDATE m_points SET numbers = times",
        "UPDATE m_points SET numbers = randomblob(200)",
        "UPDATE m_points SET numbers = zeroblob(10000000)",
        "UPDATE m_points SET numbers = 'text'",
        "UPDATE m_points SET numbers = substr(numbers, 1, length(numbers) - 1)",
        "UPDATE m_points SET times = (SELECT times FROM m_points ORDER BY chunk DESC LIMIT 1) WHERE chunk = 1",
        "DELETE FROM m_points",
        "UPDATE m_recent SET value = 'x'",
    ];
    for change in changes {
        let (_folder, bare) = bare();
        bare.execute_batch(change).unwrap();
        let read = support::try_one::<f64>(&bare, "SELECT sum(value) FROM m");
        assert_eq!(support::code(read), SQLITE_CORRUPT_VTAB, "{change}");
        let found: String = support::one(
            &bare,
            "SELECT group_concat(integrity_check) FROM pragma_integrity_check",
        );
        assert!(found.contains("time series m: "), "{change}: {found}");
    }
    assert_eq!(changes.len(), 19);
}

#[test]
fn what_reading_does_not_notice_the_integrity_check_does() {
    let changes = [
        "UPDATE m_chunks SET sum = sum + 1",
        "UPDATE m_chunks SET min = -1e9",
        "UPDATE m_chunks SET last_value = 7.5",
        "INSERT INTO m_points VALUES (99, x'', x'')",
        "DELETE FROM m_series",
    ];
    for change in changes {
        let (_folder, bare) = bare();
        support::assert_sound(&bare);
        bare.execute_batch(change).unwrap();
        let found: String = support::one(
            &bare,
            "SELECT group_concat(integrity_check) FROM pragma_integrity_check",
        );
        assert!(found.contains("time series m: "), "{change}: {found}");
    }
    assert_eq!(changes.len(), 5);
}

#[test]
fn any_byte_of_a_chunk_altered_gives_an_error_or_as_many_points() {
    let (_folder, bare) = bare();
    let mut tried = 0;
    for part in ["times", "numbers"] {
        let original: Vec<u8> = support::one(
            &bare,
            &format!("SELECT {part} FROM m_points WHERE chunk = 1"),
        );
        for at in 0..original.len() {
            for flip in [1_u8, 0x80, 0xff] {
                let mut bytes = original.clone();
                bytes[at] ^= flip;
                bare.execute(
                    &format!("UPDATE m_points SET {part} = ?1 WHERE chunk = 1"),
                    [&bytes],
                )
                .unwrap();
                match support::try_one::<i64>(&bare, "SELECT count(*) FROM m") {
                    Ok(count) => assert_eq!(count, 200),
                    Err(error) => {
                        assert_eq!(
                            support::code::<i64>(Err(error)),
                            SQLITE_CORRUPT_VTAB,
                            "{part} {at}"
                        );
                    }
                }
                tried += 1;
            }
        }
        bare.execute(
            &format!("UPDATE m_points SET {part} = ?1 WHERE chunk = 1"),
            [&original],
        )
        .unwrap();
        support::assert_sound(&bare);
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn a_later_format_is_refused() {
    let (_folder, bare) = bare();
    bare.execute_batch("UPDATE m_state SET value = 2").unwrap();
    for sql in [
        "SELECT count(*) FROM m",
        "INSERT INTO m VALUES ('a', 1, 1) RETURNING 1",
    ] {
        let error = support::try_one::<i64>(&bare, sql).unwrap_err().to_string();
        assert!(error.contains("format 2 is not known"), "{error}");
    }
    bare.execute_batch("DROP TABLE m").unwrap();
}
