//! Values of compressed columns: what is compressed comes back with its type, with a dictionary and without; whatever
//! else is read gives an error of two kinds, or a value within the limit that is stored and read again.
#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use zqlite::compression::{self, MAX_VALUE_LEN, Options};
use zqlite::rusqlite::ffi::{SQLITE_CORRUPT, SQLITE_TOOBIG};
use zqlite::rusqlite::types::Value;
use zqlite::rusqlite::{Connection, Error};

struct World {
    connection: Connection,
    dictionary: i64,
}

thread_local! {
    static WORLD: OnceCell<World> = const { OnceCell::new() };
}

/// A column with a dictionary, the same in every run.
fn world() -> World {
    let connection = Connection::open_in_memory().expect("memory");
    connection
        .execute_batch(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 500)
             INSERT INTO t SELECT x, json_object('host', 'host-' || x, 'os', 'linux', 'tags', json_array(x % 7)) FROM n",
        )
        .expect("rows");
    compression::compress_column(&connection, "t", "v", &Options::default(), &mut |_, _| true)
        .expect("a column that can be compressed");
    let dictionary = connection
        .query_row("SELECT id FROM zqlite_dictionaries", [], |row| row.get(0))
        .expect("a dictionary");
    World {
        connection,
        dictionary,
    }
}

fn looks_stored(blob: &[u8]) -> bool {
    matches!(blob, [0x7a, 0xf8..=0xff, ..])
}

// Input: a mode ‖ bytes. Modes: a value as text or blob, with the dictionary or without; a stored value; the frame of
// one, behind a right beginning; edits of a right stored value, as pairs of a place and a byte.
fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    WORLD.with(|cell| {
        let world = cell.get_or_init(world);
        match mode % 8 {
            mode @ 0..=3 => {
                let value = match std::str::from_utf8(rest) {
                    Ok(text) if mode & 1 == 0 => Value::Text(text.to_owned()),
                    _ => Value::Blob(rest.to_vec()),
                };
                world.round_trip(&value, (mode & 2 == 0).then_some(world.dictionary));
            }
            4 => world.read(rest),
            5 => world.read(&[&[0x7a, 0xfb], rest].concat()),
            6 => {
                let id = world.dictionary.to_be_bytes();
                world.read(&[&[0x7a, 0xfc], &id[..], rest].concat());
            }
            _ => {
                let sql = "SELECT v FROM t_zqlite_rows WHERE id = 9";
                let stored = world.connection.query_row(sql, [], |row| row.get(0));
                let mut stored: Vec<u8> = stored.expect("a stored value");
                for edit in rest.chunks_exact(2) {
                    let at = usize::from(edit[0]) % stored.len();
                    stored[at] ^= edit[1];
                }
                world.read(&stored);
            }
        }
    });
});

impl World {
    fn store(&self, value: &Value, dictionary: Option<i64>) -> Value {
        self.connection
            .query_row(
                "SELECT zqlite_compress(?1, ?2)",
                (value, dictionary),
                |row| row.get(0),
            )
            .expect("every value can be stored")
    }

    fn load(&self, stored: &Value) -> Result<Value, Error> {
        let sql = "SELECT zqlite_decompress(?1)";
        self.connection.query_row(sql, [stored], |row| row.get(0))
    }

    fn round_trip(&self, value: &Value, dictionary: Option<i64>) {
        let stored = self.store(value, dictionary);
        assert_eq!(&self.load(&stored).expect("what was stored is read"), value);
        // Two bytes at most are added, to a blob that looks like a stored value.
        assert!(len(&stored) <= len(value) + 2);
        assert!(
            len(&stored) <= len(value) || matches!(value, Value::Blob(blob) if looks_stored(blob))
        );
    }

    fn read(&self, stored: &[u8]) {
        match self.load(&Value::Blob(stored.to_vec())) {
            Ok(value) => {
                assert!(len(&value) <= MAX_VALUE_LEN);
                if !looks_stored(stored) {
                    assert_eq!(value, Value::Blob(stored.to_vec()));
                }
                self.round_trip(&value, Some(self.dictionary));
            }
            Err(Error::SqliteFailure(error, message)) => {
                let is_named =
                    message.is_some_and(|text| text.contains("no dictionary has the id"));
                assert!(is_named || [SQLITE_CORRUPT, SQLITE_TOOBIG].contains(&error.extended_code));
            }
            // Text need not be UTF-8 to SQLite; to this program it must.
            Err(Error::FromSqlConversionFailure(..) | Error::Utf8Error(..)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

fn len(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
        _ => 0,
    }
}
