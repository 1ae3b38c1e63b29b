//! Shadow tables that hold what was never written there, and indexes that do not agree with their tables.

use rusqlite::Connection;
use rusqlite::ffi::SQLITE_CORRUPT_VTAB;

use super::{ids, message, routes, try_ids};
use crate::support::{code, one};

fn integrity(db: &Connection) -> String {
    one(db, "PRAGMA integrity_check")
}

#[test]
fn a_forged_row_is_reported_as_damage() {
    let mut forged = 0;
    for (sql, asked) in [
        (
            "UPDATE route_ip_rows SET prefix = x'' WHERE id = 1",
            "0.0.0.0",
        ),
        (
            "UPDATE route_ip_rows SET prefix = x'040a010001' WHERE id = 3",
            "10.1.2.3",
        ),
        (
            "UPDATE route_ip_rows SET prefix = x'040a01000021' WHERE id = 3",
            "10.1.2.3",
        ),
        (
            "UPDATE route_ip_rows SET prefix = x'040a01000108' WHERE id = 3",
            "10.1.2.3",
        ),
        (
            "UPDATE route_ip_rows SET prefix = 'text' WHERE id = 1",
            "0.0.0.0",
        ),
        (
            "UPDATE route_ip_rows SET prefix = 7 WHERE id = 1",
            "0.0.0.0",
        ),
        (
            "UPDATE route_ip_rows SET prefix = zeroblob(1000000) WHERE id = 1",
            "0.0.0.0",
        ),
        (
            "UPDATE route_ip_rows SET prefix = x'06fd00000000000000000000000000000081' WHERE id = 5",
            "fd00::1",
        ),
        ("DELETE FROM route_ip_state WHERE id = 2", "10.1.2.3"),
        ("DELETE FROM route_ip_state", "10.1.2.3"),
        (
            "UPDATE route_ip_state SET value = x'00' WHERE id = 2",
            "10.1.2.3",
        ),
    ] {
        let db = routes();
        db.execute_batch(sql).unwrap();
        let asked = format!("SELECT rowid FROM route_ip WHERE covers = '{asked}'");
        let all = "SELECT rowid FROM route_ip";
        let refused = [code(try_ids(&db, &asked)), code(try_ids(&db, all))];
        assert_eq!(refused, [SQLITE_CORRUPT_VTAB; 2], "{sql}");
        if sql.contains("_rows") {
            assert!(
                integrity(&db).contains("route_ip_rows is damaged"),
                "{sql}: {}",
                integrity(&db)
            );
        }
        forged += 1;
    }
    assert_eq!(forged, 11);
    assert_eq!(
        ids(
            &routes(),
            "SELECT rowid FROM route_ip WHERE covers = '10.2.0.0'"
        ),
        [2, 1]
    );
}

#[test]
fn an_index_that_does_not_agree_with_its_table_is_reported_and_rebuilt() {
    for (sql, report) in [
        (
            "DELETE FROM route_ip_rows WHERE id = 3",
            "row 3 has 10.1.0.0/16 in the table, no prefix in the index",
        ),
        (
            "INSERT INTO route_ip_rows VALUES (4, x'040a01000010')",
            "row 4 has no prefix in the table, 10.1.0.0/16 in the index",
        ),
        (
            "INSERT INTO route_ip_rows VALUES (9, x'040a01000010')",
            "it has 6 rows, its table 5",
        ),
        (
            "UPDATE route_ip_rows SET prefix = x'040b00000008' WHERE id = 2",
            "row 2 has 10.0.0.0/8 in the table, 11.0.0.0/8 in the index",
        ),
    ] {
        let db = routes();
        assert_eq!(integrity(&db), "ok");
        db.execute_batch(sql).unwrap();
        assert_eq!(integrity(&db), format!("index route_ip: {report}"), "{sql}");
        assert_eq!(one::<String>(&db, "PRAGMA quick_check"), "ok");
        db.execute_batch("INSERT INTO route_ip(changed) VALUES ('all')")
            .unwrap();
        assert_eq!(integrity(&db), "ok");
    }
}

#[test]
fn a_format_of_the_future_is_refused() {
    let db = routes();
    db.execute_batch("UPDATE route_ip_state SET value = 2 WHERE id = 1")
        .unwrap();
    let asked = "SELECT rowid FROM route_ip WHERE covers = '10.1.2.3'";
    assert!(message(try_ids(&db, asked)).contains("format 2 is not supported"));
    let written = db.execute("DELETE FROM routes WHERE id = 3", []);
    assert!(message(written).contains("format 2 is not supported"));
}
