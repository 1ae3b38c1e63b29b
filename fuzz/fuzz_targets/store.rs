//! What the targets share that drive SQLite over sealed files: a folder, keys, and edits of a file that is made
//! of frames or records.
#![allow(dead_code, reason = "each target uses a part")]

use core::ops::Range;
use std::fs;
use std::path::{Path, PathBuf};

use zqlite::keys::{Keyring, NewSlot, PageSize, RawKey, SlotKey};
use zqlite::rusqlite::{self, Connection, OpenFlags, ffi};
use zqlite::vfs::{self, Access};
use zqlite::{Builder, VerifyOptions};

pub const PAGE: usize = 4_096;
/// Where the first page stands in a sealed file.
pub const PAGES_AT: u64 = 131_072;
const KEY: [u8; 32] = [7; 32];

/// A folder of this process, in memory where the system has such; gone when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let shared_memory = Path::new("/dev/shm");
        let base = if shared_memory.is_dir() {
            shared_memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let path = base.join(format!("zqlite-fuzz-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir(&path).expect("a folder for the databases");
        Self(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

pub fn slots() -> Vec<NewSlot> {
    vec![NewSlot {
        key: SlotKey::RawKey(RawKey::from_bytes(KEY)),
        label: String::new(),
    }]
}

pub fn keyring() -> Keyring {
    let mut ring = Keyring::new();
    ring.add_raw_key(RawKey::from_bytes(KEY));
    ring
}

pub fn builder(path: &Path) -> Builder {
    Builder::new(path).keyring(keyring()).create(slots())
}

/// Registers the key for a path: only the first connection to it unwraps the epoch key.
pub fn register(path: &Path) {
    vfs::register().expect("the VFS can be registered");
    vfs::register_keys(path, Access::new(keyring())).expect("the folder exists");
}

/// The same, with leave to create the file.
pub fn register_new(path: &Path) {
    let access = Access::new(keyring()).create(slots(), PageSize::default(), None);
    vfs::register().expect("the VFS can be registered");
    vfs::register_keys(path, access).expect("the folder exists");
}

/// Opens a file that is registered.
pub fn open(path: &Path) -> rusqlite::Result<Connection> {
    let uri = format!("file:{}?vfs=zqlite", path.display());
    // CREATE is for what is attached later.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(core::time::Duration::ZERO)?;
    Ok(connection)
}

pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Everything that `verify` finds wrong.
pub fn problems(path: &Path) -> Vec<String> {
    let options = VerifyOptions::new(keyring());
    zqlite::verify(path, options, &mut |_| true)
        .expect("the header opens")
        .problems
}

/// The rows of table `t`.
pub type Rows = Vec<(i64, Vec<u8>)>;

pub fn rows(connection: &Connection) -> rusqlite::Result<Rows> {
    let mut statement = connection.prepare("SELECT a, CAST(b AS BLOB) FROM t ORDER BY a")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

pub fn is_sound(connection: &Connection) -> bool {
    let check = connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    check.is_ok_and(|line| line == "ok")
}

/// Asserts that an error says that a file is damaged or cut, and nothing else.
pub fn assert_damaged(error: &rusqlite::Error) {
    let code = error.sqlite_error().map(|error| error.extended_code);
    let damaged = code.is_some_and(|code| {
        [ffi::SQLITE_IOERR_DATA, ffi::SQLITE_IOERR_SHORT_READ].contains(&code)
            || code & 0xff == ffi::SQLITE_CORRUPT
    });
    assert!(damaged, "{error}, {code:?}");
}

/// Applies edits of six bytes each: a kind, a position (three bytes), a value (two bytes). `units` are the
/// frames or records of the file.
pub fn operate(edits: &[u8], to: &[u8], units: &[Range<usize>]) -> Vec<u8> {
    let mut out = to.to_vec();
    for edit in edits.chunks_exact(6) {
        let at = usize::from(edit[1]) << 16 | usize::from(edit[2]) << 8 | usize::from(edit[3]);
        let value = usize::from(edit[4]) << 8 | usize::from(edit[5]);
        let unit = units[at % units.len()].clone();
        let other = units[value % units.len()].clone();
        match edit[0] % 8 {
            0 if !out.is_empty() => {
                let at = at % out.len();
                out[at] ^= edit[5];
            }
            1 => {
                let at = unit.start + value % unit.len();
                if let Some(byte) = out.get_mut(at) {
                    *byte ^= edit[1] | 1;
                }
            }
            2 => out.truncate(at),
            3 => out.resize(out.len() + value % 8_192, edit[1]),
            4 => paste(&mut out, unit.start, to, other),
            5 => {
                paste(&mut out, unit.start, to, other.clone());
                paste(&mut out, other.start, to, unit);
            }
            6 => {
                let end = unit.end.min(out.len());
                if unit.start < end {
                    out[unit.start..end].fill(edit[5]);
                }
            }
            _ => out.truncate(unit.start + value % (unit.len() + 1)),
        }
    }
    out
}

fn paste(out: &mut [u8], at: usize, from: &[u8], range: Range<usize>) {
    let from = &from[range];
    let len = from.len().min(out.len().saturating_sub(at));
    if len > 0 {
        out[at..at + len].copy_from_slice(&from[..len]);
    }
}
