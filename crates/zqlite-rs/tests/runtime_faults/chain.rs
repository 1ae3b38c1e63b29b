//! A table in which every row depends on all before it: what was committed, and in which order, can be told from it.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::Connection;
use zqlite::{Database, Error, Options, WriteTransaction};

use crate::support;

const MODULUS: i64 = 1_000_003;

/// A row: its place, who wrote it, and a value that depends on the row before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) place: i64,
    pub(crate) id: i64,
    pub(crate) value: i64,
}

pub(crate) fn create(path: &Path, options: Options) -> Result<Database, Error> {
    let database = Database::open(support::builder(path).create(support::slots()), options)?;
    database.write(|tx| {
        tx.execute_batch(
            "CREATE TABLE IF NOT EXISTS chain(place INTEGER PRIMARY KEY, id INTEGER UNIQUE, value INTEGER, filler);
             CREATE INDEX IF NOT EXISTS by_value ON chain(value);
             CREATE TABLE IF NOT EXISTS parent(id INTEGER PRIMARY KEY);
             CREATE TABLE IF NOT EXISTS child(id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);",
        )?;
        Ok(())
    })?;
    Ok(database)
}

const fn follow(value: i64, id: i64) -> i64 {
    (value * 31 + id) % MODULUS
}

/// Adds a row at the end.
pub(crate) fn append(tx: &WriteTransaction<'_>, id: i64) -> Result<Link, Error> {
    let last = tx
        .prepare_cached("SELECT place, value FROM chain ORDER BY place DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    let (place, value) = match last {
        Err(rusqlite::Error::QueryReturnedNoRows) => (0, 0),
        other => other?,
    };
    let link = Link {
        place: place + 1,
        id,
        value: follow(value, id),
    };
    tx.prepare_cached("INSERT INTO chain VALUES (?1, ?2, ?3, zeroblob(?2 % 700))")?
        .execute((link.place, link.id, link.value))?;
    Ok(link)
}

/// All rows, after a look whether they follow each other as they were written one after the other.
pub(crate) fn read(path: &Path) -> HashMap<i64, Link> {
    let connection: Connection = support::open(path);
    support::assert_sound(&connection);
    let mut statement = connection
        .prepare("SELECT place, id, value FROM chain ORDER BY place")
        .unwrap();
    let links = statement.query_map([], |row| {
        Ok(Link {
            place: row.get(0)?,
            id: row.get(1)?,
            value: row.get(2)?,
        })
    });
    let (mut place, mut value) = (0, 0);
    let mut found = HashMap::new();
    for link in links.unwrap() {
        let link = link.unwrap();
        place += 1;
        value = follow(value, link.id);
        assert_eq!((link.place, link.value), (place, value), "{link:?}");
        assert!(found.insert(link.id, link).is_none());
    }
    let children: i64 = support::one(&connection, "SELECT count(*) FROM child");
    assert_eq!(children, 0, "a violated foreign key was committed");
    found
}
