//! Chunks of a time series: points that are written come back; a chunk that somebody altered is damage, or holds as
//! many points as it says, in the order of time and within its ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zqlite::rusqlite::ffi::SQLITE_CORRUPT_VTAB;
use zqlite::rusqlite::{Connection, params};

thread_local! {
    static CONNECTION: Connection = connection();
}

/// A table with one chunk of 16 points and some recent ones; whoever wants to alters its shadow tables.
fn connection() -> Connection {
    let connection = Connection::open_in_memory().expect("memory");
    zqlite::index::register(&connection).expect("modules");
    connection
        .execute_batch("CREATE VIRTUAL TABLE m USING timeseries(chunk=16)")
        .expect("a table");
    connection
}

// Input: a mode ‖ bytes. Modes: points, each a time of two bytes and a value of eight; the times, or the numbers, of a
// chunk; edits of them, as pairs of a place and a byte.
fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    CONNECTION.with(|connection| {
        connection.execute_batch("BEGIN").expect("a transaction");
        match mode % 5 {
            0 => round_trip(connection, rest),
            mode => altered(connection, mode, rest),
        }
        connection.execute_batch("ROLLBACK").expect("the end");
    });
});

fn put(connection: &Connection, time: i64, value: f64) {
    connection
        .prepare_cached("INSERT INTO m VALUES ('a', ?1, ?2)")
        .and_then(|mut insert| insert.execute(params![time, value]))
        .expect("a point");
}

fn read(connection: &Connection) -> zqlite::rusqlite::Result<Vec<(i64, f64)>> {
    connection
        .prepare_cached("SELECT time, value FROM m WHERE series = 'a'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn round_trip(connection: &Connection, bytes: &[u8]) {
    let mut expected = std::collections::BTreeMap::new();
    for point in bytes.chunks_exact(10) {
        let time = i64::from(u16::from_le_bytes([point[0], point[1]]));
        let value = f64::from_le_bytes(point[2..].try_into().expect("eight bytes"));
        if !value.is_nan() {
            put(connection, time, value);
            expected.insert(time, value);
        }
    }
    let expected: Vec<_> = expected.into_iter().collect();
    assert_eq!(
        read(connection).expect("what was written is read"),
        expected
    );
}

fn altered(connection: &Connection, mode: u8, bytes: &[u8]) {
    for n in 0..200_i32 {
        put(connection, i64::from(n) * 3, f64::from(n * n % 37));
    }
    let part = if mode & 1 == 0 { "times" } else { "numbers" };
    let sql = format!("SELECT {part} FROM m_points WHERE chunk = 1");
    let mut stored: Vec<u8> = connection
        .query_row(&sql, [], |row| row.get(0))
        .expect("a chunk");
    if mode < 3 {
        stored = bytes.to_vec();
    } else {
        for edit in bytes.chunks_exact(2) {
            let at = usize::from(edit[0]) % stored.len();
            stored[at] ^= edit[1];
        }
    }
    let update = format!("UPDATE m_points SET {part} = ?1 WHERE chunk = 1");
    connection
        .execute(&update, [stored])
        .expect("an altered chunk");
    match read(connection) {
        Ok(points) => {
            assert_eq!(points.len(), 200);
            assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        }
        Err(error) => assert_eq!(
            error.sqlite_error().map(|error| error.extended_code),
            Some(SQLITE_CORRUPT_VTAB),
            "{error}"
        ),
    }
}
