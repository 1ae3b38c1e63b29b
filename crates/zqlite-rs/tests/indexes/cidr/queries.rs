//! What can be asked, and what a query plan says of it.

use super::{assert_agrees, ids, message, plan, routes, try_ids, values};

#[test]
fn the_longest_match_is_found_with_every_row_that_has_it() {
    let db = routes();
    for (address, found) in [
        ("10.1.2.3", &[3, 6][..]),
        ("10.2.2.3", &[2]),
        ("192.0.2.1", &[1]),
        ("10.1.0.0/16", &[3, 6]),
        ("10.0.0.0/15", &[2]),
        ("::ffff:10.1.2.3", &[3, 6]),
        ("fd12::1", &[5]),
        ("::1", &[]),
    ] {
        let sql = format!("SELECT rowid FROM route_ip WHERE longest_match = '{address}'");
        assert_eq!(ids(&db, &sql), found, "{address}");
        let sql = format!("SELECT rowid FROM route_ip('{address}')");
        assert_eq!(ids(&db, &sql), found, "{address}");
    }
    assert_agrees(&db);
}

#[test]
fn all_matches_come_longest_first() {
    let db = routes();
    let sql = "SELECT rowid FROM route_ip WHERE covers = '10.1.2.3'";
    assert_eq!(ids(&db, sql), [3, 6, 2, 1]);
    let sorted = format!("{sql} ORDER BY length DESC");
    assert_eq!(ids(&db, &sorted), [3, 6, 2, 1]);
    assert!(!plan(&db, &sorted).contains("TEMP B-TREE"));
    assert!(plan(&db, &format!("{sql} ORDER BY length")).contains("TEMP B-TREE"));
}

#[test]
fn contained_and_overlapping_prefixes_are_found() {
    let db = routes();
    let within = "SELECT rowid FROM route_ip WHERE within = '10.0.0.0/8'";
    assert_eq!(ids(&db, within), [2, 3, 6]);
    let overlaps = "SELECT rowid FROM route_ip WHERE overlaps = '10.0.0.0/8'";
    assert_eq!(ids(&db, overlaps), [1, 2, 3, 6]);
    let all = "SELECT rowid FROM route_ip WHERE within = '::/0'";
    assert_eq!(ids(&db, all), [5]);
}

#[test]
fn conditions_are_met_together() {
    let db = routes();
    for (condition, found) in [
        (
            "covers = '10.1.2.3' AND within = '10.0.0.0/8'",
            &[3, 6, 2][..],
        ),
        ("covers = '10.1.2.3' AND covers = '10.2.0.0'", &[]),
        (
            "longest_match = '10.1.2.3' AND within = '10.0.0.0/8'",
            &[3, 6],
        ),
        ("longest_match = '10.1.2.3' AND within = '11.0.0.0/8'", &[]),
        ("within = '10.0.0.0/8' AND length > 8", &[3, 6]),
        ("covers = '10.1.2.3' AND rowid = 2", &[2]),
        ("rowid = 3", &[3]),
        ("rowid = '3'", &[3]),
        ("rowid = 4", &[]),
        ("covers = NULL", &[]),
        ("covers = '10.1.2.3' AND within = NULL", &[]),
        ("covers IN ('10.2.0.0', 'fd00::')", &[2, 1, 5]),
        (
            "covers = 'fd00::' OR longest_match = '10.1.2.3'",
            &[5, 3, 6],
        ),
    ] {
        let sql = format!("SELECT rowid FROM route_ip WHERE {condition}");
        assert_eq!(ids(&db, &sql), found, "{condition}");
    }
}

#[test]
fn each_way_to_ask_shows_in_the_plan() {
    let db = routes();
    for (condition, words) in [
        ("longest_match = '10.1.2.3'", "longest match"),
        ("covers = '10.1.2.3'", "all matches"),
        ("within = '10.0.0.0/8'", "contained in"),
        ("overlaps = '10.0.0.0/8'", "overlaps"),
        ("rowid = 1", "row"),
        (
            "within = '::/0' AND covers = '::'",
            "all matches, contained in",
        ),
        ("length > 8", "all prefixes"),
    ] {
        let plan = plan(
            &db,
            &format!("SELECT rowid FROM route_ip WHERE {condition}"),
        );
        assert!(
            plan.starts_with("SCAN route_ip VIRTUAL TABLE INDEX ")
                && plan.ends_with(&format!(":{words}")),
            "{condition}: {plan}"
        );
    }
}

#[test]
fn a_join_looks_up_each_address_of_the_other_table() {
    let db = routes();
    db.execute_batch(
        "CREATE TABLE flows(address TEXT);
         INSERT INTO flows VALUES ('10.1.2.3'), ('8.8.8.8'), ('::1'), (NULL);",
    )
    .unwrap();
    let sql = "SELECT address, via FROM route_ip JOIN flows ON longest_match = address
               JOIN routes ON routes.id = route_ip.rowid ORDER BY 1, 2";
    assert_eq!(
        values(&db, sql),
        [
            ["10.1.2.3", "lab"],
            ["10.1.2.3", "lab 2"],
            ["8.8.8.8", "default"]
        ]
        .map(|row| row
            .map(|text| rusqlite::types::Value::from(text.to_owned()))
            .to_vec())
    );
    let plan = plan(&db, sql);
    assert!(
        plan.contains("SCAN flows\nSCAN route_ip VIRTUAL TABLE INDEX"),
        "{plan}"
    );
    assert!(
        plan.contains("SEARCH routes USING INTEGER PRIMARY KEY"),
        "{plan}"
    );
    let outer = "SELECT count(*) FROM flows LEFT JOIN route_ip ON longest_match = address";
    assert_eq!(ids(&db, outer), [5]);
}

#[test]
fn a_condition_that_the_index_is_not_given_is_an_error_instead_of_no_rows() {
    let db = routes();
    for condition in [
        "covers > '10.1.2.3'",
        "covers || '' = '10.1.2.3'",
        "covers = '10.1.2.3' OR length = 8",
        "NOT covers = '10.1.2.3'",
        "covers LIKE '10.%'",
    ] {
        let sql = format!("SELECT rowid FROM route_ip WHERE {condition}");
        let message = message(try_ids(&db, &sql));
        assert!(
            message.contains("can only be asked as covers = X"),
            "{condition}: {message}"
        );
    }
    assert_eq!(
        ids(&db, "SELECT rowid FROM route_ip WHERE covers = '10.2.0.0'"),
        [2, 1]
    );
}

#[test]
fn what_is_no_address_is_an_error() {
    let db = routes();
    for (value, why) in [
        ("'10.1.2'", "not an IP address: 10.1.2"),
        ("'10.1.2.3/8'", "bits after the prefix length are set"),
        ("'10.0.0.0/40'", "not a prefix length"),
        ("10", "an address or a prefix is text"),
        ("x'0a010203'", "an address or a prefix is text"),
    ] {
        let sql = format!("SELECT rowid FROM route_ip WHERE covers = {value}");
        let message = message(try_ids(&db, &sql));
        assert!(message.contains(why), "{value}: {message}");
    }
}

#[test]
fn columns_show_the_canonical_prefix() {
    let db = routes();
    db.execute(
        "INSERT INTO routes VALUES (7, 'FD00:0::1', ''), (8, '::ffff:10.2.0.0/112', '')",
        [],
    )
    .unwrap();
    let rows = values(
        &db,
        "SELECT rowid || ' ' || prefix || ' ' || length || ' ' || family FROM route_ip WHERE rowid > 4
         ORDER BY rowid",
    );
    let expected = [
        "5 fd00::/8 8 6",
        "6 10.1.0.0/16 16 4",
        "7 fd00::1/128 128 6",
        "8 10.2.0.0/16 16 4",
    ];
    assert_eq!(rows, expected.map(|text| vec![text.to_owned().into()]));
    assert_eq!(
        values(&db, "SELECT * FROM route_ip WHERE rowid = 5")[0].len(),
        3
    );
}
