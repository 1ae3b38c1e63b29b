//! Sealed files and values of a second implementation (`kat-vectors/format`, which shares no code with
//! this one) against the product, and files of the product against the second implementation's reader.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use zqlite::pq::header::Keyring;
use zqlite::pq::{Identity, Passphrase, RawKey};
use zqlite::rusqlite::Connection;
use zqlite::rusqlite::types::Value as SqlValue;

#[path = "format_vectors/files.rs"]
mod files;
#[path = "format_vectors/placement.rs"]
mod placement;
#[path = "format_vectors/reader.rs"]
mod reader;
#[path = "format_vectors/units.rs"]
mod units;

/// An object of `vectors.json`.
#[derive(Clone)]
struct Case(Value);

impl Case {
    fn get(&self, name: &str) -> Self {
        assert!(self.has(name), "{name} in {}", self.0);
        Self(self.0[name].clone())
    }

    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    fn list(&self, name: &str) -> Vec<Self> {
        let list = self.get(name);
        list.0
            .as_array()
            .unwrap()
            .iter()
            .cloned()
            .map(Self)
            .collect()
    }

    /// An object's members, by name.
    fn members(&self, name: &str) -> Vec<(String, Self)> {
        let object = self.get(name);
        let members = object.0.as_object().unwrap().iter();
        members
            .map(|(name, value)| (name.clone(), Self(value.clone())))
            .collect()
    }

    fn text(&self, name: &str) -> String {
        self.get(name).0.as_str().unwrap().to_owned()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        hex::decode(self.text(name)).unwrap()
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap()
    }

    fn number<T: TryFrom<u64>>(&self, name: &str) -> T {
        let number = self.get(name).0.as_u64().unwrap();
        T::try_from(number).unwrap_or_else(|_| panic!("{name} is too large"))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kat-vectors/format")
}

fn vectors() -> Case {
    let text = std::fs::read_to_string(folder().join("vectors.json")).unwrap();
    Case(serde_json::from_str(&text).unwrap())
}

fn file(name: &str) -> Case {
    let mut files = vectors().list("files").into_iter();
    files.find(|file| file.text("file") == name).unwrap()
}

/// Writes a vector's files into a folder; the path of the database.
fn unpack(file: &Case, to: &Path) -> PathBuf {
    for part in file.list("parts") {
        let packed = std::fs::read(folder().join(part.text("xz"))).unwrap();
        let mut bytes = Vec::new();
        liblzma::read::XzDecoder::new(packed.as_slice())
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes.len(), part.number::<usize>("size"));
        assert_eq!(sha256(&bytes), part.bytes("sha256"));
        std::fs::write(to.join(part.text("file")), bytes).unwrap();
    }
    to.join(file.text("file"))
}

/// A keyring with each single key of a vector file, and the key's name.
fn keyrings(file: &Case) -> Vec<(&'static str, Keyring)> {
    let credentials = file.get("credentials");
    let mut keyrings = Vec::new();
    let mut add = |name, fill: &dyn Fn(&mut Keyring)| {
        if credentials.has(name) {
            let mut keyring = Keyring::new();
            fill(&mut keyring);
            keyrings.push((name, keyring));
        }
    };
    add("identity", &|k| {
        k.add_identity(Identity::parse(&credentials.text("identity")).unwrap());
    });
    add("passphrase", &|k| {
        k.add_passphrase(Passphrase::from_bytes(
            credentials.text("passphrase").into_bytes(),
        ));
    });
    add("raw_key", &|k| {
        k.add_raw_key(RawKey::from_bytes(credentials.array("raw_key")));
    });
    keyrings
}

/// The keyring with the file's raw key, which every vector file has a slot for.
fn raw_keyring(file: &Case) -> Keyring {
    let (name, keyring) = keyrings(file).pop().unwrap();
    assert_eq!(name, "raw_key");
    keyring
}

/// Runs a query; blobs do not occur.
fn rows(connection: &Connection, sql: &str) -> zqlite::rusqlite::Result<Vec<Vec<Value>>> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns)
            .map(|column| {
                Ok(match row.get(column)? {
                    SqlValue::Null => Value::Null,
                    SqlValue::Integer(number) => number.into(),
                    SqlValue::Real(number) => number.into(),
                    SqlValue::Text(text) => text.into(),
                    SqlValue::Blob(_) => panic!("a blob from {sql}"),
                })
            })
            .collect()
    })?;
    rows.collect()
}

/// Runs queries and compares all rows; the number of queries.
fn assert_expected(connection: &Connection, expected: &[Case]) -> usize {
    for query in expected {
        let sql = query.text("sql");
        let found = Value::from_iter(rows(connection, &sql).unwrap());
        assert_eq!(found, query.get("rows").0, "{sql}");
    }
    expected.len()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// The path with a suffix.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Flips the lowest bit of the byte at an offset of a file.
fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset] ^= 1;
    std::fs::write(path, bytes).unwrap();
}
