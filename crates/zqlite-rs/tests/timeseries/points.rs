//! Writing, reading and dropping points.

use super::*;

#[test]
fn points_come_back_in_the_order_of_time_however_they_were_written() {
    let (_folder, connection) = guarded();
    // 7 and 1,009 have no common divisor: every time once, none in order.
    let times: Vec<i64> = (0..1_009).map(|n| n * 7 % 1_009).collect();
    for &time in &times {
        put(
            &connection,
            "a",
            time,
            f64::from(i32::try_from(time).unwrap()) / 4.0,
        );
        put(&connection, "b", -time, 1.0);
    }
    assert!(chunks(&connection) > 20);
    let read = rows(&connection, "SELECT * FROM m WHERE series = 'a'");
    assert_eq!(read.len(), 1_009);
    for (n, row) in read.iter().enumerate() {
        let n = i32::try_from(n).unwrap();
        let expected = [
            Value::Text("a".to_owned()),
            Value::Integer(n.into()),
            Value::Real(f64::from(n) / 4.0),
        ];
        assert_eq!(row[..], expected);
    }
    let times = integers(
        &connection,
        "SELECT time FROM m WHERE series = 'b' ORDER BY time",
    );
    assert!(times.is_sorted() && times.len() == 1_009);
    support::assert_sound(&connection);
}

#[test]
fn a_range_is_read_as_sqlite_compares() {
    let (_folder, connection) = guarded();
    for time in -300..300 {
        put(&connection, "a", time * 10, 0.0);
    }
    connection
        .execute_batch("CREATE TABLE plain(series, time INTEGER, value REAL); INSERT INTO plain SELECT * FROM m")
        .unwrap();
    let conditions = [
        "time >= 100 AND time < 250",
        "time > 100 AND time <= 250",
        "time = 100",
        "time = 105",
        "time > 99.5 AND time < 110.5",
        "time BETWEEN -55.5 AND '60'",
        "time > 200 AND time < 100",
        "time < 'x' AND time > 2900",
        "time > NULL",
        "time IN (5, 10, 10, 2990)",
        "time >= 9223372036854775807 OR time <= -2990",
        "time > -9223372036854775808 AND time < 1e300 AND time % 1000 = 0",
        "time > -1e300 AND time > 2000 AND time > 2970",
        "series = 'b' OR time = 20",
        "series = 'a' AND time > 2950 OR series = 'a' AND time > 2970",
    ];
    for condition in conditions {
        let read = |table: &str| {
            integers(
                &connection,
                &format!("SELECT time FROM {table} WHERE {condition} ORDER BY time"),
            )
        };
        assert_eq!(read("m"), read("plain"), "{condition}");
        let with_series = format!("series = 'a' AND ({condition})");
        let read = |table: &str| {
            integers(
                &connection,
                &format!("SELECT time FROM {table} WHERE {with_series} ORDER BY time"),
            )
        };
        assert_eq!(read("m"), read("plain"), "{with_series}");
    }
    assert_eq!(conditions.len(), 15);
}

#[test]
fn a_point_takes_the_place_of_one_of_the_same_time() {
    let (_folder, connection) = guarded();
    for round in 1..=3 {
        for time in 0..100 {
            put(&connection, "a", time, f64::from(round));
        }
        let read: (i64, f64, f64) = connection
            .query_row(
                "SELECT count(*), min(value), max(value) FROM m",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!(read, (100, f64::from(round), f64::from(round)));
    }
    support::assert_sound(&connection);
}

#[test]
fn a_series_is_a_text_or_an_integer_and_a_value_a_number() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch("INSERT INTO m VALUES (7, 1, 5), ('7', 1, 0.5), ('', 1, 9e999)")
        .unwrap();
    assert_eq!(
        rows(&connection, "SELECT value FROM m WHERE series = 7"),
        [[Value::Real(5.0)]]
    );
    assert_eq!(
        rows(&connection, "SELECT value FROM m WHERE series = '7'"),
        [[Value::Real(0.5)]]
    );
    let refused = [
        "INSERT INTO m VALUES (NULL, 1, 1)",
        "INSERT INTO m VALUES (x'00', 1, 1)",
        "INSERT INTO m VALUES (1.5, 1, 1)",
        "INSERT INTO m VALUES ('a', NULL, 1)",
        "INSERT INTO m VALUES ('a', 1.5, 1)",
        "INSERT INTO m VALUES ('a', 'x', 1)",
        "INSERT INTO m VALUES ('a', 1, NULL)",
        "INSERT INTO m VALUES ('a', 1, 'x')",
        "INSERT INTO m VALUES ('a', 1, 9007199254740993)",
        "INSERT INTO m(drop_before) VALUES ('x')",
    ];
    for sql in refused {
        let code = support::code(connection.execute(sql, []));
        assert_eq!(code, rusqlite::ffi::SQLITE_MISMATCH, "{sql}");
    }
    assert_eq!(refused.len(), 10);
    for sql in [
        "INSERT INTO m(series, time, value, count) VALUES ('a', 1, 1, 1)",
        "DELETE FROM m",
        "UPDATE m SET value = 1",
    ] {
        let code = support::code(connection.execute(sql, []));
        assert_eq!(code, rusqlite::ffi::SQLITE_ERROR, "{sql}");
    }
    assert_eq!(
        support::one::<i64>(&connection, "SELECT count(*) FROM m"),
        3
    );
}

#[test]
fn what_is_old_is_dropped_in_whole_chunks() {
    let (_folder, connection) = guarded();
    for time in 0..400 {
        put(&connection, "a", time, 1.0);
        put(&connection, "b", time, 1.0);
    }
    connection
        .execute_batch("INSERT INTO m(series, drop_before) VALUES ('a', 200), ('nobody', 300)")
        .unwrap();
    let oldest = |series: &str| -> i64 {
        support::one(
            &connection,
            &format!("SELECT min(time) FROM m WHERE series = '{series}'"),
        )
    };
    assert!((200 - 16..=200).contains(&oldest("a")), "{}", oldest("a"));
    assert_eq!(oldest("b"), 0);
    let kept = integers(
        &connection,
        "SELECT time FROM m WHERE series = 'a' AND time >= 200",
    );
    assert_eq!(kept, (200..400).collect::<Vec<_>>());
    connection
        .execute_batch("INSERT INTO m(drop_before) VALUES (9223372036854775807)")
        .unwrap();
    assert_eq!(
        support::one::<i64>(&connection, "SELECT count(*) FROM m"),
        0
    );
    assert_eq!(
        support::one::<i64>(&connection, "SELECT count(*) FROM m_points"),
        0
    );
    support::assert_sound(&connection);
}

#[test]
fn dropping_what_is_old_does_not_bring_back_a_value_that_was_replaced() {
    let (_folder, connection) = guarded();
    for time in 0..400 {
        put(&connection, "a", time, 1.0);
    }
    // Some of these still stand beside the chunk that they are to go into.
    for time in 0..400 {
        put(&connection, "a", time, 2.0);
        if time % 16 == 3 {
            let drop = "INSERT INTO m(drop_before) VALUES (?1)";
            connection.execute(drop, [time + 1]).unwrap();
            let old = "SELECT count(*) FROM m WHERE time <= ?1 AND value = 1";
            let old: i64 = connection.query_row(old, [time], |row| row.get(0)).unwrap();
            assert_eq!(old, 0, "{time}");
        }
    }
}

#[test]
fn retention_drops_chunks_while_others_are_written() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch(
            "DROP TABLE m; CREATE VIRTUAL TABLE m USING timeseries(chunk = 16, retention = 100)",
        )
        .unwrap();
    for time in 0..5_000 {
        put(&connection, "a", time, 1.0);
    }
    let times = integers(&connection, "SELECT time FROM m");
    assert!(times.is_sorted() && times.last() == Some(&4_999));
    assert!(times.contains(&4_900), "{times:?}");
    // A chunk more, and what has come since the last chunk was made.
    assert!(times.len() < 100 + 16 + 16 * 8, "{}", times.len());
}

#[test]
fn the_plan_shows_what_is_constrained() {
    let (_folder, connection) = guarded();
    for (condition, shown) in [
        ("series = 'a'", "series=?"),
        (
            "series = 'a' AND time > 5 AND time <= 9",
            "series=? time>? time<?",
        ),
        ("time = 5", "time=?"),
        ("bucket = 10 AND series = 'a'", "series=? bucket=?"),
        ("value > 5", "all points"),
    ] {
        let plan = plan(&connection, &format!("SELECT * FROM m WHERE {condition}"));
        let scan = "SCAN m VIRTUAL TABLE INDEX ";
        assert!(
            plan.starts_with(scan) && plan.ends_with(&format!(":{shown}")),
            "{plan}"
        );
    }
    let sorted = "SELECT * FROM m WHERE series = 'a' ORDER BY time";
    assert!(!plan(&connection, sorted).contains("B-TREE"));
    let other = "SELECT * FROM m WHERE series = 'a' ORDER BY time DESC";
    assert!(plan(&connection, other).contains("B-TREE"));
}

#[test]
fn the_table_is_renamed_and_dropped_with_all_that_it_has() {
    let (_folder, connection) = guarded();
    for time in 0..100 {
        put(&connection, "a", time, 1.0);
    }
    connection
        .execute_batch("ALTER TABLE m RENAME TO \"n n\"")
        .unwrap();
    assert_eq!(
        support::one::<i64>(&connection, "SELECT count(*) FROM \"n n\""),
        100
    );
    connection.execute_batch("DROP TABLE \"n n\"").unwrap();
    assert_eq!(
        support::one::<i64>(&connection, "SELECT count(*) FROM sqlite_schema"),
        0
    );
    for arguments in [
        "chunk=15",
        "chunk=4097",
        "chunk=x",
        "retention=0",
        "what=1",
        "16",
    ] {
        let sql = format!("CREATE VIRTUAL TABLE m USING timeseries({arguments})");
        assert!(connection.execute_batch(&sql).is_err(), "{arguments}");
    }
    assert_eq!(
        support::one::<i64>(&connection, "SELECT count(*) FROM sqlite_schema"),
        0
    );
}

#[test]
fn points_take_little_space() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch("DROP TABLE m; CREATE VIRTUAL TABLE m USING timeseries; BEGIN")
        .unwrap();
    for n in 0..20_000_i32 {
        let value = f64::from(n * n % 1_000) / 100.0;
        put(
            &connection,
            "load",
            1_700_000_000 + i64::from(n) * 15 + i64::from(n % 3),
            value,
        );
    }
    connection.execute_batch("COMMIT").unwrap();
    let bytes: i64 = support::one(
        &connection,
        "SELECT sum(length(times) + length(numbers)) FROM m_points",
    );
    let points: i64 = support::one(&connection, "SELECT sum(count) FROM m_chunks");
    assert!(points > 18_000 && bytes < points * 3, "{bytes} {points}");
}

#[test]
fn a_series_is_compared_under_the_collation_that_is_asked_for() {
    let (_folder, connection) = guarded();
    for time in 0..40 {
        put(&connection, "a", time, 1.0);
        put(&connection, "A", time, 2.0);
        put(&connection, "b", time, 3.0);
    }
    let asked = "SELECT count(*) FROM m WHERE series = 'A' COLLATE NOCASE AND time < 10";
    assert_eq!(support::one::<i64>(&connection, asked), 20);
    let shown = plan(&connection, asked);
    assert!(shown.ends_with(":time<?"), "{shown}");
    let ordered = "SELECT time FROM m WHERE series = 'A' COLLATE NOCASE ORDER BY time";
    assert!(integers(&connection, ordered).is_sorted());
}

#[test]
fn points_are_read_while_the_connection_writes_others() {
    let (_folder, connection) = guarded();
    for time in 0..300 {
        put(&connection, "a", time * 2, 1.0);
    }
    connection.execute_batch("BEGIN").unwrap();
    let mut statement = connection
        .prepare("SELECT time FROM m WHERE series = 'a'")
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut seen = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let time: i64 = row.get(0).unwrap();
        seen.push(time);
        // Chunks that are still to be read get more points, and are made anew.
        if time % 2 == 0 {
            for after in 1..4 {
                put(&connection, "a", time + 40 * after + 1, 1.0);
            }
        }
    }
    assert!(seen.is_sorted_by(|a, b| a < b));
    let kept = (0..300).filter(|time| seen.contains(&(time * 2))).count();
    assert_eq!(kept, 300);
    support::assert_sound(&connection);
}

#[test]
fn a_query_that_outlives_a_rollback_leaves_out_nothing_that_was_there_before() {
    for undo in ["ROLLBACK", "ROLLBACK TO s"] {
        let (_folder, connection) = guarded();
        for time in 0..300 {
            put(&connection, "a", time * 10, 1.0);
        }
        connection.execute_batch("BEGIN; SAVEPOINT s").unwrap();
        let before = chunks(&connection);
        for time in (0..1000).filter(|time| time % 10 != 0) {
            put(&connection, "a", time, 2.0);
        }
        assert!(chunks(&connection) > before + 10);

        // A chunk is read that ends where none ended before, and none will.
        let mut statement = connection
            .prepare("SELECT time FROM m WHERE series = 'a'")
            .unwrap();
        let mut rows = statement.query([]).unwrap();
        assert_eq!(rows.next().unwrap().unwrap().get(0), Ok(0));
        connection.execute_batch(undo).unwrap();
        let mut kept = vec![0];
        while let Some(row) = rows.next().unwrap() {
            let time: i64 = row.get(0).unwrap();
            kept.extend((time % 10 == 0).then_some(time));
        }
        let all: Vec<_> = (0..300).map(|time| time * 10).collect();
        assert_eq!(kept, all, "{undo}");
        assert_eq!(chunks(&connection), before);
    }
}

#[test]
fn a_query_that_outlives_a_rollback_gives_no_points_of_a_series_that_came_in_the_place_of_its_own()
{
    for order in ["", "ORDER BY time"] {
        let (_folder, connection) = guarded();
        put(&connection, "a", 1, 1.0);
        connection.execute_batch("BEGIN; SAVEPOINT s").unwrap();
        for time in 0..400 {
            put(&connection, "b", time, 2.0);
            put(&connection, "d", time, 2.0);
        }
        let sql = format!("SELECT series, time FROM m WHERE series <> 'x' {order}");
        let mut statement = connection.prepare(&sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        assert!(rows.next().unwrap().is_some());
        connection.execute_batch("ROLLBACK TO s").unwrap();
        // The numbers of the series that are gone are given to others.
        for time in 0..400 {
            put(&connection, "c", 1_000 + time, 3.0);
            put(&connection, "e", 1_000 + time, 3.0);
        }
        while let Some(row) = rows.next().unwrap() {
            let (series, time): (String, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
            assert!(time < 1_000, "{order}: {series} has {time}");
        }
    }
}

#[test]
fn a_point_that_meets_a_damaged_chunk_is_not_written_or_written_as_a_whole() {
    let (folder, connection) = guarded();
    for time in 0..100 {
        put(&connection, "a", time * 10, 1.0);
    }
    drop(connection);
    let bare = support::builder(&folder.path().join("a.db"))
        .allow_schema_writes()
        .open()
        .unwrap();
    bare.execute_batch("UPDATE m_points SET numbers = x'00'; BEGIN")
        .unwrap();
    let mut refused = 0;
    for time in 0..400 {
        let before: i64 = support::one(&bare, "SELECT count(*) FROM m_recent");
        let written = bare.execute("INSERT INTO m VALUES ('a', ?1, 2)", [time * 2 + 1]);
        let after: i64 = support::one(&bare, "SELECT count(*) FROM m_recent");
        assert_eq!(after - before, i64::from(written.is_ok()), "{time}");
        refused += i64::from(written.is_err());
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn a_series_that_was_rolled_back_is_made_anew() {
    let (_folder, connection) = guarded();
    let undone = [
        (
            "SAVEPOINT s; INSERT INTO m VALUES ('a@', 1, 1), (7@, 1, 1); ROLLBACK TO s; RELEASE s",
            true,
        ),
        // The third row is refused, and the others with it.
        (
            "INSERT INTO m VALUES ('a@', 1, 1), (7@, 1, 1), ('a@', 1, 'x')",
            false,
        ),
        (
            "COMMIT; BEGIN; INSERT INTO m VALUES ('a@', 1, 1), (7@, 1, 1); ROLLBACK; BEGIN",
            true,
        ),
    ];
    for (at, (undo, is_done)) in (0_i64..).zip(undone) {
        // Series of its own for each.
        let undo = undo.replace('@', &at.to_string());
        connection.execute_batch("BEGIN").unwrap();
        assert_eq!(connection.execute_batch(&undo).is_ok(), is_done, "{undo}");
        for (series, value) in [("b", 2.0), ("a", 3.0), ("c", 4.0)] {
            put(&connection, &format!("{series}{at}"), 1, value);
        }
        connection
            .execute_batch(&format!("INSERT INTO m VALUES (7{at}, 1, 5); COMMIT"))
            .unwrap();
        for (series, value) in [("'b", 2), ("'a", 3), ("'c", 4), ("7", 5)] {
            let quote = if series.starts_with('\'') { "'" } else { "" };
            let sql =
                format!("SELECT CAST(value AS INTEGER) FROM m WHERE series = {series}{at}{quote}");
            assert_eq!(integers(&connection, &sql), [value], "{sql}");
        }
    }
    assert_eq!(integers(&connection, "SELECT count(*) FROM m"), [12]);
    support::assert_sound(&connection);
}
