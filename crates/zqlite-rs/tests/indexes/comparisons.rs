//! Conditions that compare otherwise than most: types, collations, rows of values, orders of joins.

use crate::cidr::{assert_agrees, ids, memory, plan, values};
use crate::support::one;

#[test]
fn any_in_a_strict_table_keeps_values_as_they_are() {
    for (options, one) in [("STRICT", [2]), ("", [1])] {
        let db = memory();
        db.execute_batch(&format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a ANY) {options};
             INSERT INTO t VALUES (1, 1), (2, '1');
             CREATE VIRTUAL TABLE x USING bitmap(t, a);"
        ))
        .unwrap();
        for condition in ["a = '1'", "a = 1", "a <> '1'", "a IS 1"] {
            let right = ids(&db, &format!("SELECT id FROM t WHERE {condition}"));
            let found = ids(&db, &format!("SELECT rowid FROM x WHERE {condition}"));
            assert_eq!(found, right, "{options} {condition}");
        }
        assert_eq!(ids(&db, "SELECT rowid FROM x WHERE a = '1'")[..1], one);
        assert_agrees(&db);
    }
}

#[test]
fn conditions_of_every_shape_find_what_the_table_has() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, os TEXT, tier INTEGER);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 60)
         INSERT INTO t SELECT x, CASE WHEN x % 7 THEN substr('abcd', x % 4 + 1, 1) END, nullif(x % 5, 3) FROM n;
         CREATE TABLE other(os TEXT, tier INTEGER, n INTEGER);
         INSERT INTO other VALUES ('a', 1, 1), ('b', 2, 2), (NULL, 4, 3), ('zz', NULL, 4);
         CREATE VIRTUAL TABLE x USING bitmap(t, os, tier);",
    )
    .unwrap();
    let mut compared = 0;
    for condition in [
        "(T.os, T.tier) = ('a', 1)",
        "(T.os, T.tier) IN (VALUES ('a', 1), ('b', 2))",
        "(T.os, T.tier) > ('b', 2)",
        "(T.os, T.tier) IS ('a', NULL)",
        "T.os IN (SELECT os FROM other)",
        "T.os NOT IN ('a', 'b')",
        "NOT (T.os = 'a' AND T.tier = 1)",
        "NOT (T.os = 'a' OR T.tier = 1)",
        "T.os = 'a' OR (T.tier = 2 AND T.os <> 'b')",
        "T.os IS NOT DISTINCT FROM NULL",
        "T.os = 'a' AND T.os = 'b'",
        "T.os IN ('a', 'b') AND T.os IN ('b', 'c')",
        "EXISTS (SELECT 1 FROM other WHERE other.os = T.os AND other.tier = T.tier)",
        "T.tier BETWEEN 1 AND 2 AND T.os = 'a'",
        "T.os LIKE 'A' AND T.tier = 1",
        "CASE WHEN T.os = 'a' THEN T.tier = 1 ELSE T.tier = 2 END",
        "T.os = (SELECT os FROM other WHERE n = 2)",
        "T.tier = '1' AND T.os = 'a'",
        "T.tier = 1.0",
        "T.os = 'a' IS TRUE",
    ] {
        let id = |table: &str, key: &str, tail: &str| {
            format!("SELECT T.{key} FROM {table} T WHERE {condition} {tail}")
        };
        for (by_key, by_rowid) in [
            ("ORDER BY id", "ORDER BY rowid"),
            ("ORDER BY id DESC", "ORDER BY rowid DESC"),
            (
                "ORDER BY id LIMIT 3 OFFSET 1",
                "ORDER BY rowid LIMIT 3 OFFSET 1",
            ),
        ] {
            let right = ids(&db, &id("t", "id", by_key));
            assert_eq!(
                ids(&db, &id("x", "rowid", by_rowid)),
                right,
                "{condition} {by_key}"
            );
            compared += 1;
        }
    }
    for join in [
        "other LEFT JOIN X ON X.os = other.os",
        "other LEFT JOIN X ON X.os = other.os AND X.tier = other.tier",
        "other LEFT JOIN X ON X.os = other.os WHERE X.tier IS NULL",
        "other LEFT JOIN X ON X.os IS other.os WHERE X.tier = 1",
        "X LEFT JOIN other ON X.os = other.os AND X.tier = 1",
        "other RIGHT JOIN X ON X.os = other.os AND X.tier = 1",
        "other FULL JOIN X ON X.os = other.os AND X.tier = 2",
        "other JOIN X USING (os, tier)",
        "X AS a JOIN X AS b ON a.os = b.os AND a.tier = 1 AND b.tier = 2",
    ] {
        let sum = |table: &str| {
            let sql = format!(
                "SELECT count(*) * 1000000 + ifnull(sum(length(X.os)), 0) * 1000 + ifnull(sum(X.tier), 0)
                 FROM {}",
                join.replace("X ", &format!("{table} "))
            );
            let sql = if join.contains("AS a") {
                sql.replace("X.", "b.")
            } else {
                sql.replace("X.", &format!("{table}."))
            };
            ids(&db, &sql)
        };
        assert_eq!(sum("x"), sum("t"), "{join}");
        compared += 1;
    }
    assert_eq!(compared, 20 * 3 + 9);
}

#[test]
fn a_count_in_a_join_gets_its_values_first() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, os TEXT, region TEXT);
         INSERT INTO t VALUES (1, 'a', 'eu'), (2, 'a', 'us'), (3, 'b', 'eu');
         CREATE TABLE systems(name TEXT);
         INSERT INTO systems VALUES ('a'), ('b'), ('c');
         CREATE VIRTUAL TABLE x USING bitmap(t, os, region);",
    )
    .unwrap();
    for from in ["systems JOIN x ON os = name", "x JOIN systems ON os = name"] {
        let sql = format!("SELECT count FROM {from} ORDER BY name");
        assert_eq!(ids(&db, &sql), [2, 1, 0], "{from}");
        let shown = plan(&db, &sql);
        assert!(shown.contains("count of os ="), "{shown}");
    }
    // One of two that depend on each other comes first, row by row, and the other counts.
    let each = "SELECT a.count FROM x a JOIN x b ON a.os = b.os";
    assert_eq!(ids(&db, each), [2, 2, 1]);
}

#[test]
fn what_stands_on_the_other_side_is_compared_as_it_is() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, os TEXT);
         INSERT INTO t VALUES (1, '1'), (2, '01');
         CREATE TABLE numbers(n INTEGER); INSERT INTO numbers VALUES (1);
         CREATE VIRTUAL TABLE x USING bitmap(t, os);",
    )
    .unwrap();
    // SQLite makes numbers of the texts, since the other side is a column of numbers.
    for (table, key) in [("t", "t.id"), ("x", "x.rowid")] {
        let by_column =
            format!("SELECT {key} FROM numbers CROSS JOIN {table} ON os = n ORDER BY 1");
        assert_eq!(ids(&db, &by_column), [1, 2]);
        let by_text =
            format!("SELECT {key} FROM numbers CROSS JOIN {table} ON os = CAST(n AS TEXT)");
        assert_eq!(ids(&db, &by_text), [1]);
    }
}

/// Types of columns, and values that look alike; what each becomes in a column, SQLite decides.
const TYPES: [&str; 6] = ["TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", ""];
const ALIKE: &str = "(1), (1.0), ('1'), ('01'), ('1.0'), (' 1 '), ('1e0'), (x'31'), ('+1'), (2.5), ('2.5'), ('2.50'),
    ('a'), ('1a'), (''), (x''), (NULL), (0), ('0'), ('-0'), ('.0'), (9007199254740993), ('9007199254740993'),
    ('9007199254740992.0'), (9007199254740992.0), ('10000000000000000000'), (1e19), ('x'), ('A')";

/// Where the other side of a comparison comes from, with a place for its value.
const SIDES: [&str; 8] = [
    "{o}.v",
    "+{o}.v",
    "CAST({o}.v AS TEXT)",
    "CAST({o}.v AS INTEGER)",
    "CAST({o}.v AS BLOB)",
    "(SELECT s.v FROM {o} s WHERE s.n = {o}.n)",
    "iif(1, {o}.v, NULL)",
    "max({o}.v, {o}.v)",
];

#[test]
fn a_join_compares_with_columns_of_every_type_as_the_table_does() {
    let db = memory();
    for kind in TYPES {
        let name = kind.to_lowercase();
        db.execute_batch(&format!(
            "CREATE TABLE t{name}(id INTEGER PRIMARY KEY, a {kind});
             INSERT INTO t{name}(a) VALUES {ALIKE};
             INSERT INTO t{name}(a) SELECT a FROM t{name} WHERE id % 2;
             CREATE VIRTUAL TABLE x{name} USING bitmap(t{name}, a);
             CREATE TABLE o{name}(n INTEGER PRIMARY KEY, v {kind});
             INSERT INTO o{name}(v) VALUES {ALIKE};"
        ))
        .unwrap();
    }
    // A column of numbers that holds texts: no table has one, but what is selected may.
    db.execute_batch(&format!(
        "CREATE VIEW omixed AS SELECT n, v FROM ointeger WHERE n < 0 UNION ALL
         SELECT row_number() OVER (), column1 FROM (VALUES {ALIKE})"
    ))
    .unwrap();
    let others: Vec<String> = TYPES
        .iter()
        .map(|kind| format!("o{}", kind.to_lowercase()))
        .collect();
    let mut compared = 0;
    for index in TYPES.map(str::to_lowercase) {
        for other in others.iter().map(String::as_str).chain(["omixed"]) {
            for side in SIDES.map(|side| side.replace("{o}", other)) {
                for condition in [
                    format!("K.a = {side}"),
                    format!("{side} = K.a"),
                    format!("K.a IS {side}"),
                    format!("K.a <> {side}"),
                    format!("K.a IS NOT {side}"),
                    format!("+K.a = {side}"),
                    format!("K.a IN ({side}, 'a')"),
                    format!("K.a IN (SELECT {side} FROM {other} WHERE n < 5)"),
                    format!("K.a NOT IN ({side}, 'a')"),
                ] {
                    let sum = |table: &str, key: &str| {
                        let condition = condition.replace("K.", &format!("{table}."));
                        let sql = format!(
                            "SELECT {other}.n, {table}.{key}, {table}.a, typeof({table}.a)
                             FROM {other} CROSS JOIN {table} WHERE {condition} ORDER BY 1, 2"
                        );
                        values(&db, &sql)
                    };
                    let right = sum(&format!("t{index}"), "id");
                    let found = sum(&format!("x{index}"), "rowid");
                    assert!(found == right, "{index}: {condition}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 6 * 7 * 8 * 9);
}

#[test]
fn texts_that_are_a_number_are_found_by_an_index_that_a_renamed_one_keeps() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);
         INSERT INTO t(a) VALUES ('1'), ('01'), ('a'), ('2');
         CREATE TABLE numbers(n INTEGER); INSERT INTO numbers VALUES (1);
         CREATE VIRTUAL TABLE x USING bitmap(t, a);
         ALTER TABLE x RENAME TO y;
         CREATE VIRTUAL TABLE x USING bitmap(t, a);",
    )
    .unwrap();
    for index in ["x", "y"] {
        let sql = format!("SELECT {index}.rowid FROM numbers CROSS JOIN {index} ON a = n");
        assert_eq!(ids(&db, &sql), [1, 2]);
        let shown = plan(
            &db,
            &format!(
                "SELECT id, value FROM {index}_values WHERE field = 0 AND CAST(value AS NUMERIC) = 1
                 AND typeof(value) = 'text' AND CAST(value AS NUMERIC) = value"
            ),
        );
        assert!(shown.contains("INDEX x_numbers"), "{shown}");
    }
    let numbers = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'x@_numbers%' ESCAPE '@'";
    assert_eq!(ids(&db, numbers), [2]);
    // It is only faster with them.
    for row in values(
        &db,
        "SELECT name FROM sqlite_schema WHERE name LIKE 'x@_numbers%' ESCAPE '@'",
    ) {
        let rusqlite::types::Value::Text(name) = &row[0] else {
            panic!("{row:?}");
        };
        db.execute_batch(&format!("DROP INDEX {name}")).unwrap();
    }
    for index in ["x", "y"] {
        let sql = format!("SELECT {index}.rowid FROM numbers CROSS JOIN {index} ON a = n");
        assert_eq!(ids(&db, &sql), [1, 2]);
    }
    assert_agrees(&db);
    db.execute_batch("DROP TABLE x; DROP TABLE y").unwrap();
    assert_eq!(ids(&db, "SELECT count(*) FROM sqlite_schema"), [2]);
}

#[test]
fn a_count_and_a_row_of_values_are_compared_as_their_column_says() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);
         INSERT INTO t(a) VALUES ('1'), ('01'), ('a');
         CREATE TABLE numbers(n INTEGER); INSERT INTO numbers VALUES (1);
         CREATE VIRTUAL TABLE x USING bitmap(t, a);",
    )
    .unwrap();
    // There is no row that SQLite could look at: a number is the text that a parameter would be.
    assert_eq!(
        ids(&db, "SELECT count(*) FROM numbers JOIN t ON a = n"),
        [2]
    );
    assert_eq!(ids(&db, "SELECT count FROM numbers JOIN x ON a = n"), [1]);
    assert_eq!(ids(&db, "SELECT count FROM numbers JOIN x ON a <> n"), [2]);
    // SQLite itself asks for one after another, and does not say that they were numbers.
    for (table, right) in [("t", 2), ("x", 1)] {
        let sql =
            format!("SELECT count(*) FROM {table} WHERE (a, a) IN (SELECT n, n FROM numbers)");
        assert_eq!(ids(&db, &sql), [right], "{table}");
    }
}

#[test]
fn what_stands_in_the_query_and_what_is_bound_is_compared_as_the_table_compares_it() {
    let db = memory();
    let alike: Vec<&str> = ALIKE
        .split(',')
        .map(|value| value.trim().trim_start_matches('(').trim_end_matches(')'))
        .collect();
    let mut compared = 0;
    for kind in TYPES {
        db.execute_batch(&format!(
            "DROP TABLE IF EXISTS x; DROP TABLE IF EXISTS t;
             CREATE TABLE t(id INTEGER PRIMARY KEY, a {kind}); INSERT INTO t(a) VALUES {ALIKE};
             INSERT INTO t(a) SELECT a FROM t WHERE id % 3;
             CREATE VIRTUAL TABLE x USING bitmap(t, a);"
        ))
        .unwrap();
        for value in &alike {
            let bound: rusqlite::types::Value = one(&db, &format!("SELECT {value}"));
            for side in [
                "#",
                "?1",
                "CAST(# AS INTEGER)",
                "CAST(?1 AS NUMERIC)",
                "CAST(?1 AS TEXT)",
                "+#",
            ] {
                for condition in [
                    "a = @",
                    "@ IS a",
                    "a <> @",
                    "a IS NOT @",
                    "a IN (@, 'a')",
                    "NOT (a = @ OR a = 'a')",
                ] {
                    let condition = condition.replace('@', side).replace('#', value);
                    let found = |table: &str, key: &str| {
                        let sql = format!(
                            "SELECT {key}, a, ?1 IS NULL FROM {table} WHERE {condition} ORDER BY 1"
                        );
                        let mut statement = db.prepare(&sql).unwrap();
                        let rows =
                            statement.query_map([&bound], |row| Ok((row.get(0)?, row.get(1)?)));
                        rows.unwrap()
                            .collect::<rusqlite::Result<Vec<(i64, rusqlite::types::Value)>>>()
                            .unwrap()
                    };
                    assert!(
                        found("x", "rowid") == found("t", "id"),
                        "{kind}: {condition} {bound:?}"
                    );
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 6 * 29 * 6 * 6);
}

#[test]
fn a_long_list_finds_the_rows_that_the_table_finds() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, w INTEGER);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000)
         INSERT INTO t SELECT x, x % 1000 || iif(x % 7 = 0, '.0', ''), x % 3 FROM n;
         CREATE VIRTUAL TABLE x USING bitmap(t, v, w);
         CREATE TABLE o(i INTEGER, s TEXT);
         INSERT INTO o SELECT id, v FROM t WHERE id % 2;",
    )
    .unwrap();
    for list in [
        "SELECT i FROM o",
        "SELECT s FROM o",
        "SELECT s FROM o LIMIT 10",
    ] {
        for also in ["", " AND w = 1"] {
            let rows = |table: &str, id: &str| {
                let sql = format!("SELECT {id} FROM {table} WHERE v IN ({list}){also} ORDER BY 1");
                ids(&db, &sql)
            };
            let found = rows("x", "rowid");
            assert!(!found.is_empty());
            assert_eq!(found, rows("t", "id"), "{list}{also}");
        }
    }
}
