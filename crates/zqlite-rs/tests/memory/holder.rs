//! The process that has the keys, and the handle that the parent has on it.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rusqlite::Connection;
use zeroize::{Zeroize, Zeroizing};
use zqlite::Builder;
use zqlite::pq::header::Keyring;
use zqlite::pq::{Identity, Passphrase, RawKey};
use zqlite::vfs::{self, Access};

pub(crate) const ROLE: &str = "ZQLITE_TEST_ROLE";
pub(crate) const FOLDER: &str = "ZQLITE_TEST_FOLDER";
const TOKEN: &str = "at: ";

/// A child, seen from the parent.
pub(crate) struct Holder {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    pub(crate) fn start(role: &str, folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_role", "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the child has said where it is; it then waits itself.
    pub(crate) fn wait_for(&mut self, place: &str) {
        let found = self
            .lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| line.split_once(TOKEN).map(|(_, place)| place.to_owned()));
        assert_eq!(found.as_deref(), Some(place), "the child ended early");
    }

    pub(crate) fn go_on(&mut self) {
        self.stdin.write_all(b"\n").unwrap();
    }

    pub(crate) fn finish(mut self) {
        self.go_on();
        assert!(self.child.wait().unwrap().success());
    }
}

/// In the child: says where it is, and waits.
fn stop_at(place: &str) {
    println!("{TOKEN}{place}");
    std::io::stdin().read_exact(&mut [0]).unwrap();
}

pub(crate) fn run(role: &str, folder: &Path) {
    match role.strip_suffix("-refused") {
        None => work(role, folder),
        Some(role) => be_refused(role, folder),
    }
    stop_at("closed");
}

fn work(role: &str, folder: &Path) {
    let connection = open(role, folder).unwrap();
    let mode: String = connection
        .query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    connection
        .execute_batch(
            "INSERT INTO t VALUES ('another');
             BEGIN; CREATE TEMP TABLE u AS SELECT * FROM t; COMMIT;
             PRAGMA journal_mode=DELETE;
             UPDATE t SET b = b || '!'",
        )
        .unwrap();
    let rows: i64 = connection
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
    // Pages are read again, so that their derived keys are in use.
    connection
        .execute_batch("PRAGMA shrink_memory; SELECT * FROM t")
        .unwrap();
    stop_at("open");
    connection.close().unwrap();
    vfs::unregister_keys(&folder.join("sealed.db"));
}

fn be_refused(role: &str, folder: &Path) {
    let bytes = read_key(folder);
    stop_at("read");
    drop(bytes);
    assert!(open(role, folder).is_err(), "the key opens another's file");
    vfs::unregister_keys(&folder.join("sealed.db"));
    drop(vfs::take_last_error());
}

/// The key file's bytes, without a copy in a buffered reader.
fn read_key(folder: &Path) -> Zeroizing<Vec<u8>> {
    let mut file = File::open(folder.join("key")).unwrap();
    let len = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let mut bytes = Zeroizing::new(vec![0; len]);
    file.read_exact(&mut bytes).unwrap();
    bytes
}

fn open(role: &str, folder: &Path) -> Result<Connection, zqlite::Error> {
    let path = folder.join("sealed.db");
    let bytes = read_key(folder);
    let builder = Builder::new(&path);
    let mut array = [0; 32];
    if let Some(bytes) = bytes.first_chunk() {
        array = *bytes;
    }
    let builder = match role {
        "identity" => builder
            .identity(Identity::from_seed(array))
            .accept_any_maker(),
        "identity-text" => {
            let text = core::str::from_utf8(&bytes).unwrap();
            builder
                .identity(Identity::parse(text).unwrap())
                .accept_any_maker()
        }
        "passphrase" => builder.passphrase(Passphrase::from_bytes(bytes.to_vec())),
        "raw-key" => builder.raw_key(RawKey::from_bytes(array)),
        "registered" => {
            let mut ring = Keyring::new();
            ring.add_raw_key(RawKey::from_bytes(array));
            array.zeroize();
            vfs::register()?;
            vfs::register_keys(&path, Access::new(ring))?;
            return Ok(Connection::open_with_flags_and_vfs(
                &path,
                rusqlite::OpenFlags::default(),
                "zqlite",
            )?);
        }
        other => panic!("no role {other}"),
    };
    array.zeroize();
    builder.open()
}
