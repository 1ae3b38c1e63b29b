//! Several databases on one connection: everything of an index stands in one of them, whatever the others name alike.

use rusqlite::Connection;

use crate::cidr::{assert_agrees, ids, memory, message};
use crate::support::one;

fn tables(schema: &str, first: i64) -> String {
    format!(
        "CREATE TABLE {schema}.net(id INTEGER PRIMARY KEY, prefix TEXT, os TEXT);
         INSERT INTO {schema}.net VALUES ({first}, '10.0.0.0/8', 'a'), ({first} + 1, '10.1.0.0/16', 'b');
         CREATE VIRTUAL TABLE {schema}.ip USING cidr(net, prefix);
         CREATE VIRTUAL TABLE {schema}.tags USING bitmap(net, os);
         CREATE VIRTUAL TABLE {schema}.load USING timeseries(chunk=16);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50)
         INSERT INTO {schema}.load SELECT 'a', {first} * 1000 + x, x FROM n;"
    )
}

fn assert_is(db: &Connection, schema: &str, a: &[i64], covers: &[i64], from: i64) {
    let tags = format!("SELECT rowid FROM {schema}.tags WHERE os = 'a'");
    assert_eq!(ids(db, &tags), a, "{schema}");
    let ip = format!("SELECT rowid FROM {schema}.ip WHERE covers = '10.1.2.3'");
    assert_eq!(ids(db, &ip), covers, "{schema}");
    let load = format!("SELECT min(time), count(*) FROM {schema}.load WHERE series = 'a'");
    assert_eq!(ids(db, &load), [from], "{schema}");
    assert_agrees(db);
}

#[test]
fn indexes_of_the_same_name_in_two_databases_do_not_touch_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.db");
    let db = memory();
    let attach = format!("ATTACH '{}' AS", file.display());
    // The attached one comes first: then what main makes cannot be what it finds.
    db.execute_batch(&format!(
        "{attach} other; {} {}",
        tables("other", 100),
        tables("main", 1)
    ))
    .unwrap();
    let both = |main: (&[i64], &[i64]), other: (&[i64], &[i64]), schema: &str| {
        assert_is(&db, "main", main.0, main.1, 1_001);
        assert_is(&db, schema, other.0, other.1, 100_001);
    };
    both((&[1], &[2, 1]), (&[100], &[101, 100]), "other");
    db.execute_batch(
        "INSERT INTO net VALUES (7, '10.1.2.0/24', 'a');
         BEGIN; DELETE FROM net; DELETE FROM other.net; SAVEPOINT a; DELETE FROM other.net; ROLLBACK TO a; ROLLBACK;
         DELETE FROM other.net WHERE id = 101;",
    )
    .unwrap();
    both((&[1, 7], &[7, 2, 1]), (&[100], &[100]), "other");
    db.execute_batch(
        "ALTER TABLE other.net RENAME TO nets; ALTER TABLE other.tags RENAME TO labels;
         ALTER TABLE other.labels RENAME TO tags; INSERT INTO other.nets VALUES (102, '10.1.2.3', 'a');
         INSERT INTO other.tags(changed) VALUES ('all')",
    )
    .unwrap();
    both((&[1, 7], &[7, 2, 1]), (&[100, 102], &[102, 100]), "other");
    // The same file under another name, by a connection that has used it before.
    db.execute_batch(&format!(
        "DETACH other; {attach} \"x y\"; DELETE FROM \"x y\".nets WHERE id = 100"
    ))
    .unwrap();
    both((&[1, 7], &[7, 2, 1]), (&[102], &[102]), "\"x y\"");
    db.execute_batch("DROP TABLE ip; DROP TABLE tags; DROP TABLE load")
        .unwrap();
    assert_is(&db, "\"x y\"", &[102], &[102], 100_001);
    assert_eq!(ids(&db, "SELECT count(*) FROM main.sqlite_schema"), [1]);
}

#[test]
fn temporary_tables_of_the_same_names_change_nothing() {
    const SHADOWS: [&str; 11] = [
        "tags",
        "tags_source",
        "tags_values",
        "tags_chunks",
        "tags_rows",
        "tags_state",
        "ip",
        "ip_rows",
        "ip_source",
        "load_recent",
        "load_series",
    ];
    for before in [true, false] {
        let db = memory();
        let temporary: String = SHADOWS
            .iter()
            .map(|name| {
                format!(
                    "CREATE TEMP TABLE {name}(changed, id, v1, field, value, bits, series, time);"
                )
            })
            .chain([
                "CREATE TEMP TABLE net(id INTEGER PRIMARY KEY, prefix TEXT, os TEXT);".to_owned(),
            ])
            .collect();
        let (first, second) = match before {
            true => (temporary.as_str(), tables("main", 1)),
            false => ("", tables("main", 1) + &temporary),
        };
        db.execute_batch(first).unwrap();
        db.execute_batch(&second).unwrap();
        db.execute_batch(
            "INSERT INTO main.net VALUES (7, '10.1.2.0/24', 'a'); DELETE FROM main.net WHERE id = 1;
             INSERT INTO temp.net VALUES (50, 'no prefix', 'a');
             INSERT INTO main.tags(changed) VALUES ('all');",
        )
        .unwrap();
        assert_is(&db, "main", &[7], &[7, 2], 1_001);
        for name in SHADOWS {
            assert_eq!(
                one::<i64>(&db, &format!("SELECT count(*) FROM temp.{name}")),
                0,
                "{name}"
            );
        }
        db.execute_batch(
            "ALTER TABLE main.tags RENAME TO labels; DROP TABLE main.labels; DROP TABLE main.ip",
        )
        .unwrap();
        let left = "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '%load%'";
        assert_eq!(ids(&db, left), [1]);
    }
}

#[test]
fn an_index_and_its_table_stand_in_one_database_that_lasts() {
    let db = memory();
    db.execute_batch(
        "ATTACH ':memory:' AS other;
         CREATE TABLE net(id INTEGER PRIMARY KEY, a TEXT);
         CREATE TEMP TABLE here(id INTEGER PRIMARY KEY, a TEXT);
         CREATE TABLE other.there(id INTEGER PRIMARY KEY, a TEXT);",
    )
    .unwrap();
    for module in ["bitmap", "cidr"] {
        for (index, why) in [
            ("temp.x USING {}(net, a)", "temp has none that last"),
            ("temp.x USING {}(here, a)", "temp has none that last"),
            ("x USING {}(here, a)", "no such table: main.here"),
            ("x USING {}(there, a)", "no such table: main.there"),
            ("other.x USING {}(net, a)", "no such table: other.net"),
            ("x USING {}(other.there, a)", "no such table"),
        ] {
            let sql = format!("CREATE VIRTUAL TABLE {}", index.replace("{}", module));
            let said = message(db.execute_batch(&sql));
            assert!(said.contains(why), "{sql}: {said}");
        }
    }
    let made = "SELECT (SELECT count(*) FROM sqlite_schema) * 100 + (SELECT count(*) FROM temp.sqlite_schema) * 10
                + (SELECT count(*) FROM other.sqlite_schema)";
    assert_eq!(ids(&db, made), [111]);
    // A series needs no table, and may be as short-lived as the connection.
    db.execute_batch(
        "CREATE VIRTUAL TABLE temp.load USING timeseries; INSERT INTO load VALUES ('a', 1, 1.0)",
    )
    .unwrap();
    assert_eq!(
        ids(&db, "SELECT time FROM temp.load WHERE series = 'a'"),
        [1]
    );
    assert_eq!(ids(&db, "SELECT count(*) FROM main.sqlite_schema"), [1]);
}
