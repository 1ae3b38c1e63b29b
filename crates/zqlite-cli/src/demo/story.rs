//! What ought to work: a database is generated, sealed, queried, verified and opened again.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use zqlite::pq::header::Expected;
use zqlite::rusqlite::{Connection, params};
use zqlite::{Builder, DecryptOptions, EncryptOptions, Encrypted, Error, VerifyOptions};

use super::Stage;
use super::cast::{self, Cast};
use crate::dump::dump;

/// Rows of the generated table.
pub(super) const PEOPLE: u32 = 4_000;
/// What a thief would look for.
const MARKER: &str = "MARKER: nobody but Alice may read this";

pub(super) fn play(stage: &mut Stage, cast: &Cast) -> Result<()> {
    stage.chapter("A database")?;
    let plain = stage.path("plain.db");
    generate(&plain).with_context(|| plain.display().to_string())?;
    stage.say(&format!(
        "plain.db: a table of {PEOPLE} people, made by plain SQLite"
    ))?;
    stage.expect(
        "a thief reads its text in the file",
        holds_marker(&plain)?,
        "no such text",
    )?;

    stage.chapter("Sealed to Alice, signed by the owner")?;
    let sealed = stage.path("sealed.db");
    let Encrypted { file_id, pages, .. } =
        seal(&plain, &sealed, cast, Some(cast::same(&cast.owner)))?;
    stage.say(&format!("sealed.db: {pages} pages, file id {file_id}"))?;
    stage.expect(
        "the text is not in the file",
        !holds_marker(&sealed)?,
        "the text",
    )?;
    let header = zqlite::inspect(&sealed)?;
    let is_shown = header
        .header
        .header()
        .is_some_and(|header| *header.file_id() == file_id);
    stage.expect(
        "inspect shows the header without a key",
        is_shown,
        "another header",
    )?;

    stage.chapter("Opened by Alice")?;
    let expected = Expected {
        file_id: Some(file_id),
        ..cast.owner_expected()
    };
    let count = count(&sealed, cast, Some(expected))?;
    let found = format!("{count} rows");
    stage.expect("SQL runs on it", count == i64::from(PEOPLE), &found)?;
    let mut options = VerifyOptions::new(cast::keyring(&cast.alice));
    options.signed_by = Some(cast.owner_expected());
    let report = zqlite::verify(&sealed, options, &mut |_| true)?;
    stage.expect(
        "verify finds every page in order",
        report.problems.is_empty(),
        &report.problems.join("; "),
    )?;
    let again = stage.path("decrypted.db");
    let mut options = DecryptOptions::new(cast::keyring(&cast.alice));
    options.signed_by = Some(cast.owner_expected());
    zqlite::decrypt(&sealed, &again, options, &mut |_| true)?;
    let is_same = dump_of(&plain)? == dump_of(&again)?;
    stage.expect(
        "decrypt gives the same database back",
        is_same,
        "a different .dump",
    )
}

/// Seals a database to Alice.
pub(super) fn seal(
    plain: &Path,
    sealed: &Path,
    cast: &Cast,
    signing_key: Option<zqlite::pq::SigningKey>,
) -> Result<Encrypted, Error> {
    let mut options = EncryptOptions::new(cast.slot_for_alice());
    options.signing_key = signing_key;
    zqlite::encrypt(plain, sealed, options, &mut |_| true)
}

/// Reads every row as Alice.
pub(super) fn count(path: &Path, cast: &Cast, expected: Option<Expected>) -> Result<i64, Error> {
    let builder = Builder::new(path)
        .keyring(cast::keyring(&cast.alice))
        .read_only();
    let builder = match expected {
        Some(expected) => builder.signed_by(expected),
        None => builder.accept_any_maker(),
    };
    read_all(&builder.open()?)
}

/// The number of people; every page is read on the way.
pub(super) fn read_all(connection: &Connection) -> Result<i64, Error> {
    let sql = "SELECT count(*) FROM person WHERE length(name) + length(note) > 0";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

fn generate(path: &Path) -> Result<(), Error> {
    let mut connection = Connection::open(path)?;
    let transaction = connection.transaction()?;
    transaction
        .execute_batch("CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, note TEXT)")?;
    {
        let mut insert = transaction.prepare("INSERT INTO person VALUES (?1, ?2, ?3)")?;
        for id in 1..=PEOPLE {
            let note = format!("{MARKER} ({id})");
            insert.execute(params![id, format!("Person {id}"), note])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn holds_marker(path: &Path) -> Result<bool> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(bytes
        .windows(MARKER.len())
        .any(|window| window == MARKER.as_bytes()))
}

fn dump_of(path: &Path) -> Result<Vec<u8>> {
    let connection = Connection::open(path).map_err(Error::from)?;
    let mut text = Vec::new();
    dump(&connection, "%", &mut text)?;
    Ok(text)
}
