//! What the length of a stored value gives away, as SECURITY.md says.

use super::*;

fn stored_len(connection: &Connection, value: &str, dictionary: Option<i64>) -> i64 {
    connection
        .query_row(
            "SELECT length(zqlite_compress(?1, ?2))",
            (value, dictionary),
            |row| row.get(0),
        )
        .unwrap()
}

const SECRET: &str = "token=4f9a1c77e0b25d836641aa";
const WRONG: &str = "token=b08d52c3917fe64a05c29d";

#[test]
fn a_guess_beside_a_secret_in_one_value_shows_in_its_length() {
    let (_folder, connection) = guarded();
    let length = |guess: &str| {
        let value = format!(
            "{{\"{SECRET}\",\"padding\":\"{}\",\"name\":\"{guess}\"}}",
            meta(4)
        );
        stored_len(&connection, &value, None)
    };
    assert!(length(SECRET) < length(WRONG));
    // In values of their own, neither shows in the other: the lengths are those of each alone.
    let alone = |guess: &str| {
        let value = format!("{{\"padding\":\"{}\",\"name\":\"{guess}\"}}", meta(4));
        stored_len(&connection, &value, None)
    };
    assert!((alone(SECRET) - alone(WRONG)).abs() <= 2);
}

#[test]
fn a_guess_of_what_the_dictionary_holds_shows_in_the_length() {
    let (_folder, connection) = guarded();
    peers(&connection, 300);
    let length =
        |guess: &str, id: i64| stored_len(&connection, &meta(4).replace("host-4", guess), Some(id));
    let newest = "SELECT id FROM zqlite_dictionaries ORDER BY version DESC LIMIT 1";
    compress(&connection, "peer", "meta").unwrap();
    let without: i64 = support::one(&connection, newest);
    assert!((length(SECRET, without) - length(WRONG, without)).abs() <= 2);
    connection
        .execute(
            "UPDATE peer SET meta = replace(meta, 'host-', ?1)",
            [SECRET],
        )
        .unwrap();
    compression::retrain(&connection, "peer", "meta", &Options::default()).unwrap();
    let with: i64 = support::one(&connection, newest);
    assert!(length(SECRET, with) + 4 < length(WRONG, with));
}
