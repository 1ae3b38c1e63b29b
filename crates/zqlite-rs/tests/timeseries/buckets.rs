//! Downsampled reads.

use super::*;

const ALL: &str = "time, count, min, max, sum, avg, first, last, value";

/// The same by SQL over the points.
fn by_hand(width: i64, condition: &str) -> String {
    format!(
        "SELECT start, n, low, high, total, mean,
           (SELECT value FROM plain i WHERE i.series = o.series AND i.time = o.t0),
           (SELECT value FROM plain i WHERE i.series = o.series AND i.time = o.t1), mean
         FROM (SELECT series, time - ((time % {width}) + {width}) % {width} AS start, count(*) AS n, min(value) AS low,
             max(value) AS high, sum(value) AS total, avg(value) AS mean, min(time) AS t0, max(time) AS t1
           FROM plain GROUP BY series, start) o
         WHERE {condition} ORDER BY series, start"
    )
}

#[test]
fn buckets_are_what_sql_makes_of_the_points() {
    let (_folder, connection) = guarded();
    for n in 0..900_i32 {
        let time = i64::from(n * 37 % 2_000 - 700);
        // Quarters: sums are exact in any order.
        put(&connection, "a", time, f64::from(n * 7 % 100) / 4.0);
        put(&connection, "b", i64::from(n), f64::from(n));
    }
    connection
        .execute_batch("CREATE TABLE plain AS SELECT * FROM m")
        .unwrap();
    let mut compared = 0;
    for width in [1, 7, 60, 500, 10_000, i64::MAX / 4] {
        for condition in ["series = 'a'", "1", "series = 'b'"] {
            let bucket = format!(
                "SELECT {ALL} FROM m WHERE bucket = {width} AND {condition} ORDER BY series, time"
            );
            let expected = rows(&connection, &by_hand(width, condition));
            assert_eq!(rows(&connection, &bucket), expected, "{width} {condition}");
            compared += expected.len();
        }
        for range in [
            "start >= 60",
            "start > 60 AND start < 500",
            "start = 60",
            "start <= -60",
        ] {
            let condition = format!("series = 'a' AND {range}");
            let bucket = format!(
                "SELECT {ALL} FROM m WHERE bucket = {width} AND {}",
                condition.replace("start", "time")
            );
            let expected = rows(&connection, &by_hand(width, &condition));
            assert_eq!(rows(&connection, &bucket), expected, "{width} {condition}");
            compared += expected.len();
        }
    }
    assert!(compared > 3_000, "{compared}");
}

#[test]
fn a_chunk_in_one_bucket_is_not_opened() {
    let (folder, connection) = guarded();
    for time in 0..160 {
        put(&connection, "a", time, 2.0);
    }
    let before = rows(&connection, "SELECT time, sum FROM m WHERE bucket = 1000");
    assert_eq!(before, [[Value::Integer(0), Value::Real(320.0)]]);
    assert!(chunks(&connection) >= 8);
    drop(connection);
    // The points of all chunks are gone: whoever opens one fails.
    let bare = support::builder(&folder.path().join("a.db"))
        .allow_schema_writes()
        .open()
        .unwrap();
    bare.execute_batch("DELETE FROM m_points").unwrap();
    assert_eq!(
        rows(&bare, "SELECT time, sum FROM m WHERE bucket = 1000"),
        before
    );
    let opened = support::try_one::<f64>(&bare, "SELECT sum FROM m WHERE bucket = 10");
    assert_eq!(support::code(opened), rusqlite::ffi::SQLITE_CORRUPT_VTAB);
}

#[test]
fn a_width_is_an_integer_above_zero_and_known() {
    let (_folder, connection) = guarded();
    put(&connection, "a", 5, 1.0);
    for wrong in ["0", "-1", "1.5", "'x'"] {
        let sql = format!("SELECT count(*) FROM m WHERE bucket = {wrong}");
        let code = support::code(support::try_one::<i64>(&connection, &sql));
        assert_eq!(code, rusqlite::ffi::SQLITE_ERROR, "{wrong}");
    }
    let count = |condition: &str| -> i64 {
        support::one(
            &connection,
            &format!("SELECT count(*) FROM m WHERE {condition}"),
        )
    };
    assert_eq!(
        (
            count("bucket = NULL"),
            count("bucket = 10"),
            count("bucket > 5")
        ),
        (0, 1, 0)
    );
    let joined =
        "SELECT time FROM (SELECT 2 AS w UNION ALL SELECT 3) JOIN m ON bucket = w ORDER BY w";
    assert_eq!(integers(&connection, joined), [4, 3]);
}

#[test]
fn ends_of_time_have_buckets() {
    let (_folder, connection) = guarded();
    for time in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX] {
        put(&connection, "a", time, 1.0);
    }
    let read = rows(&connection, "SELECT time, count FROM m WHERE bucket = 1000");
    let pair = |time: i64, count: i64| [Value::Integer(time), Value::Integer(count)];
    let last = i64::MAX - i64::MAX.rem_euclid(1_000);
    assert_eq!(
        read,
        [
            pair(i64::MIN, 2),
            pair(-1_000, 1),
            pair(0, 1),
            pair(last, 1)
        ]
    );
    let read = rows(
        &connection,
        "SELECT time, count FROM m WHERE bucket = 1000 AND time >= 0",
    );
    assert_eq!(read, [pair(0, 1), pair(last, 1)]);
}

#[test]
fn infinities_that_meet_have_no_sum() {
    let (_folder, connection) = guarded();
    for time in 0..64 {
        put(
            &connection,
            "a",
            time,
            if time % 2 == 0 {
                f64::INFINITY
            } else {
                f64::NEG_INFINITY
            },
        );
    }
    let read = rows(
        &connection,
        "SELECT count, min, max, sum, avg FROM m WHERE bucket = 1000",
    );
    let expected = [
        Value::Integer(64),
        Value::Real(f64::NEG_INFINITY),
        Value::Real(f64::INFINITY),
        Value::Null,
        Value::Null,
    ];
    assert_eq!(read, [expected]);
    support::assert_sound(&connection);
}
