//! Series and times compared with columns of every type, as a table that holds the same compares them.

use super::*;

const ALIKE: &str = "(1), (1.0), ('1'), ('01'), ('1.0'), (' 1 '), (x'31'), (2.5), ('2.5'), ('a'), ('1a'), (''), (NULL),
    (0), ('-0'), (10), ('10'), (20), ('x')";

#[test]
fn a_join_compares_with_columns_of_every_type_as_a_table_does() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 40),
               s(name) AS (VALUES (1), ('1'), ('01'), (' 1 '), (10), ('10'), ('1e1'), ('a'), (''), (0), ('2.5'), ('x'))
             INSERT INTO m SELECT name, i * 5 + length(name), i FROM n, s;
             CREATE TABLE plain(series, time INTEGER, value REAL); INSERT INTO plain SELECT * FROM m;",
        )
        .unwrap();
    assert!(chunks(&connection) > 12);
    let mut compared = 0;
    for kind in ["TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", ""] {
        connection
            .execute_batch(&format!(
                "DROP TABLE IF EXISTS o; CREATE TABLE o(n INTEGER PRIMARY KEY, v {kind});
                 INSERT INTO o(v) VALUES {ALIKE};"
            ))
            .unwrap();
        for side in [
            "o.v",
            "+o.v",
            "CAST(o.v AS TEXT)",
            "CAST(o.v AS INTEGER)",
            "iif(1, o.v, 0)",
        ] {
            for condition in [
                format!("series = {side}"),
                format!("{side} = series AND time < 99.5"),
                format!("series IS {side}"),
                format!("series <> {side} AND time < 20"),
                format!("series IN ({side}, 'x')"),
                format!("series IN (SELECT {side} FROM o WHERE n < 9)"),
                format!("time = {side}"),
                format!("time <= {side} AND series = 'a'"),
                format!("+series = {side} AND +time > 3"),
            ] {
                let read = |table: &str, order: &str| {
                    let sql = format!(
                        "SELECT o.n, series, time, value FROM o CROSS JOIN {table} WHERE {condition} ORDER BY {order}"
                    );
                    rows(&connection, &sql)
                };
                let order = "o.n, time, typeof(series), series";
                assert!(
                    read("m", order) == read("plain", order),
                    "{kind}: {condition}"
                );
                compared += 1;
            }
        }
        // In the order of time, whatever number of series a name means.
        for n in 1..=19 {
            let read = |table: &str, more: &str, order: &str| {
                let sql = format!(
                    "SELECT time, count(*) FROM (SELECT time FROM {table} JOIN o ON o.n = {n} AND series = o.v {more}
                     ORDER BY {order}) GROUP BY time"
                );
                rows(&connection, &sql)
            };
            assert!(
                read("m", "", "time") == read("plain", "", "+time"),
                "{kind} {n}"
            );
            let sql = format!(
                "SELECT time FROM o CROSS JOIN m ON series = o.v WHERE o.n = {n} ORDER BY time"
            );
            let times = integers(&connection, &sql);
            assert!(times.is_sorted(), "{kind} {n}");
            assert!(!plan(&connection, &sql).contains("TEMP B-TREE"));
            let sql = format!(
                "SELECT time, sum(count) FROM o CROSS JOIN m ON series = o.v WHERE o.n = {n} AND bucket = 30
                 GROUP BY time ORDER BY time"
            );
            let right = format!(
                "SELECT time / 30 * 30, count(*) FROM o CROSS JOIN plain ON series = o.v WHERE o.n = {n}
                 GROUP BY 1 ORDER BY 1"
            );
            assert!(
                rows(&connection, &sql) == rows(&connection, &right),
                "{kind} {n}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 6 * (5 * 9 + 19));
    support::assert_sound(&connection);
}
