//! Values of every type come back as they went in.

use super::*;

fn edge_values() -> Vec<Value> {
    let long = meta(1).repeat(9);
    let mut values = vec![
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Real(-0.5),
        Value::Real(f64::INFINITY),
        Value::Text(String::new()),
        Value::Text("short".to_owned()),
        Value::Text(long.clone()),
        Value::Text("0".repeat(300)),
        Value::Text("nul \0 inside ".repeat(40)),
        Value::Text("λόγος 語 🦀 ".repeat(30)),
        Value::Blob(Vec::new()),
        Value::Blob(long.into_bytes()),
        Value::Blob(vec![0; 70_000]),
        // What looks like a stored value, and what only begins like one.
        Value::Blob(vec![0x7a, 0xff]),
        Value::Blob(vec![0x7a, 0xf8]),
        Value::Blob(vec![0x7a, 0xfb, 0, 0, 0]),
        Value::Blob(vec![0x7a]),
    ];
    let stored = [&[0x7a, 0xfd][..], &[7; 200]].concat();
    values.push(Value::Blob(stored));
    values.push(Value::Blob(
        (0..=u8::MAX).map(|n| n.wrapping_mul(167)).collect(),
    ));
    values
}

#[test]
fn values_of_every_type_come_back_with_their_type() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch("CREATE TABLE v(id INTEGER PRIMARY KEY, value)")
        .unwrap();
    for n in 0..300 {
        let insert = "INSERT INTO v(value) VALUES (?1)";
        connection.execute(insert, [meta(n)]).unwrap();
    }
    let mut before = edge_values();
    for value in &before {
        connection
            .execute("INSERT INTO v(value) VALUES (?1)", [value])
            .unwrap();
    }
    compress(&connection, "v", "value").unwrap();
    // The same again, through the view.
    for value in &before {
        connection
            .execute("INSERT INTO v(value) VALUES (?1)", [value])
            .unwrap();
    }
    before.extend(edge_values());
    let after = rows(
        &connection,
        "SELECT value FROM v WHERE id > 300 ORDER BY id",
    );
    assert_eq!(after.len(), 2 * edge_values().len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, &after[0]);
    }
    let types = "SELECT group_concat(typeof(value)) FROM v WHERE id > 300";
    let types: String = support::one(&connection, types);
    assert_eq!(types.matches("blob").count(), 2 * 9);
}

#[test]
fn text_that_is_no_utf_8_keeps_its_bytes() {
    let (_folder, connection) = guarded();
    connection
        .execute_batch("CREATE TABLE v(id INTEGER PRIMARY KEY, value TEXT)")
        .unwrap();
    let bytes = [&[0xff, 0xfe][..], &[b'x'; 400]].concat();
    let insert = "INSERT INTO v(value) VALUES (CAST(?1 AS TEXT))";
    connection.execute(insert, [&bytes]).unwrap();
    compress(&connection, "v", "value").unwrap();
    connection.execute(insert, [&bytes]).unwrap();
    let stored: i64 = support::one(&connection, "SELECT max(length(value)) FROM v_zqlite_rows");
    assert!(stored < 100, "{stored}");
    let read = rows(
        &connection,
        "SELECT typeof(value), CAST(value AS BLOB) FROM v",
    );
    let expected = vec![Value::Text("text".to_owned()), Value::Blob(bytes)];
    assert_eq!(read, vec![expected.clone(), expected]);
}

#[test]
fn a_column_turns_values_into_its_type_as_before() {
    for declared in ["TEXT", "JSON", "NUMERIC", "BLOB", "VARCHAR(9)"] {
        let (_folder, connection) = guarded();
        let number = format!("{}7", "0".repeat(200));
        let given = [
            Value::Integer(5),
            Value::Real(2.5),
            Value::Text(" 12 ".to_owned()),
            Value::Text(number),
            Value::Text("1e3".to_owned()),
            Value::Text(meta(3)),
            Value::Null,
        ];
        connection
            .execute_batch(&format!(
                "CREATE TABLE plain(id INTEGER PRIMARY KEY, value {declared});
                 CREATE TABLE v(id INTEGER PRIMARY KEY, value {declared});"
            ))
            .unwrap();
        compress(&connection, "v", "value").unwrap();
        for table in ["plain", "v"] {
            for value in &given {
                let insert = format!("INSERT INTO {table}(value) VALUES (?1)");
                connection.execute(&insert, [value]).unwrap();
            }
        }
        let read = |table: &str| rows(&connection, &format!("SELECT value FROM {table}"));
        assert_eq!(read("v"), read("plain"), "{declared}");
        assert_eq!(read("v").len(), given.len());
    }
}

#[test]
fn one_row_is_read_by_its_key_and_a_column_that_is_not_asked_for_is_not_decompressed() {
    let (_folder, connection) = guarded();
    peers(&connection, 400);
    let done = compress(&connection, "peer", "meta").unwrap();
    assert_eq!(done.rows, 400);
    assert!(done.stored_bytes * 3 < done.plain_bytes, "{done:?}");
    let plan = rows(
        &connection,
        "EXPLAIN QUERY PLAN SELECT meta FROM peer WHERE id = 7",
    );
    let Value::Text(plan) = &plan[0][3] else {
        panic!("{plan:?}");
    };
    assert_eq!(
        plan,
        "SEARCH peer_zqlite_rows USING INTEGER PRIMARY KEY (rowid=?)"
    );
    for n in [1, 199, 400] {
        let read: String = support::one(
            &connection,
            &format!("SELECT meta FROM peer WHERE id = {n}"),
        );
        assert_eq!(read, meta(n));
    }
    // A value that cannot be read hinders nobody who does not read it.
    connection
        .execute_batch("UPDATE peer_zqlite_rows SET meta = x'7afd' WHERE id = 2")
        .unwrap();
    let names: i64 = support::one(&connection, "SELECT count(name) FROM peer");
    assert_eq!(names, 400);
    let read = support::try_one::<String>(&connection, "SELECT meta FROM peer WHERE id = 2");
    assert_eq!(support::code(read), rusqlite::ffi::SQLITE_CORRUPT);
    let read: String = support::one(&connection, "SELECT meta FROM peer WHERE id = 3");
    assert_eq!(read, meta(3));
}

#[test]
fn values_in_the_table_behind_the_view_that_are_not_ours_stand_for_themselves() {
    let (_folder, connection) = guarded();
    peers(&connection, 20);
    compress(&connection, "peer", "meta").unwrap();
    connection
        .execute_batch("UPDATE peer_zqlite_rows SET meta = 'by hand' WHERE id = 1; UPDATE peer_zqlite_rows SET meta = x'28b52ffd' WHERE id = 2")
        .unwrap();
    let read = rows(&connection, "SELECT meta FROM peer WHERE id < 3");
    let expected = [
        Value::Text("by hand".to_owned()),
        Value::Blob(vec![0x28, 0xb5, 0x2f, 0xfd]),
    ];
    assert_eq!(read.concat(), expected);
}
