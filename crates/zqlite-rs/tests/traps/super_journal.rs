//! Transactions over two databases: both are rolled back, or neither.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::{TempDir, tempdir};

use crate::probe::Probe;
use crate::support::{
    assert_clean, assert_sound, fill, fingerprint, flip, journal, len, mode, one, open, open_uri,
    peek, poke, register_new,
};

type Files = Vec<(PathBuf, Vec<u8>)>;

/// Two databases, as a crash left them right before a transaction over both was committed.
struct Crashed {
    _dir: TempDir,
    a: PathBuf,
    b: PathBuf,
    before: [String; 2],
}

impl Crashed {
    /// `name` is that of a VFS of its own: the crash is a state of all files, taken before the super-journal
    /// is deleted and put back afterwards.
    fn new(name: &str, journal_mode: &str) -> Self {
        let probe = Probe::install(name, 0);
        let dir = tempdir().unwrap();
        let (a, b) = (dir.path().join("a.db"), dir.path().join("b.db"));
        for path in [&a, &b] {
            register_new(path);
        }
        let connection = open_uri(&format!("file:{}?vfs={name}", a.display())).unwrap();
        {
            let other = open_uri(&format!("file:{}?vfs={name}", b.display())).unwrap();
            fill(&other, 400);
        }
        fill(&connection, 400);
        connection
            .execute(
                "ATTACH ?1 AS other",
                [format!("file:{}?vfs={name}", b.display())],
            )
            .unwrap();
        mode(&connection, journal_mode);
        // A journal longer than the one to come, where journals are kept.
        let all = "UPDATE main.t SET b = hex(randomblob(200)); UPDATE other.t SET b = hex(randomblob(200));";
        for update in all.split_inclusive(';').take(2) {
            connection.execute_batch(update).unwrap();
        }
        let before = [fingerprint(&open(&a)), fingerprint(&open(&b))];
        let taken: Arc<Mutex<Option<Files>>> = Arc::default();
        let folder = dir.path().to_owned();
        let shared = Arc::clone(&taken);
        probe.before_delete(move |path| {
            if path.contains("-mj") {
                *shared.lock().unwrap() = Some(files_of(&folder));
            }
        });
        connection
            .execute_batch(
                "BEGIN;
                 UPDATE main.t SET b = 'new' WHERE a < 100;
                 UPDATE other.t SET b = 'new' WHERE a < 100;
                 COMMIT;",
            )
            .unwrap();
        drop(connection);
        for (path, _) in files_of(dir.path()) {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in taken
            .lock()
            .unwrap()
            .take()
            .expect("there was a super-journal")
        {
            if !path.to_string_lossy().ends_with("-shm") {
                fs::write(path, bytes).unwrap();
            }
        }
        let crashed = Self {
            _dir: dir,
            a,
            b,
            before,
        };
        assert!(crashed.super_journal().is_some());
        crashed
    }

    fn super_journal(&self) -> Option<PathBuf> {
        let files = files_of(self.a.parent().unwrap());
        files
            .into_iter()
            .map(|(path, _)| path)
            .find(|path| path.to_string_lossy().contains("-mj"))
    }

    fn assert_rolled_back(&self) {
        for (path, before) in [&self.a, &self.b].into_iter().zip(&self.before) {
            let connection = open(path);
            assert_eq!(&fingerprint(&connection), before, "{}", path.display());
            assert_sound(&connection);
            drop(connection);
            assert_clean(path);
        }
    }
}

fn files_of(folder: &Path) -> Files {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// Where the trailer ends: at the end of the file, and before the MAC.
fn trailer_ends(log: &Path) -> [u64; 2] {
    let end = len(log);
    let name_len = u32::from_be_bytes(peek(log, end - 16, 4).try_into().unwrap());
    [end, end - 20 - u64::from(name_len) - 32]
}

/// A plain database of the same transaction is recovered by a pager that knows nothing of our format: it looks for the
/// name of the super-journal where SQLite puts it, and deletes the super-journal if it finds none.
#[test]
fn the_super_journal_is_named_at_the_end_of_the_file_as_sqlite_has_it() {
    let crashed = Crashed::new("zq-plain-sees", "DELETE");
    let name = crashed.super_journal().unwrap();
    let name = name.to_str().unwrap().as_bytes();
    for log in [journal(&crashed.a), journal(&crashed.b)] {
        let [end, before] = trailer_ends(&log);
        for end in [end, before] {
            assert_eq!(
                peek(&log, end - 8, 8),
                [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]
            );
            let name_at = end - 16 - name.len() as u64;
            assert_eq!(peek(&log, name_at, name.len()), name);
        }
    }
    crashed.assert_rolled_back();
}

#[test]
fn both_databases_roll_back() {
    for journal_mode in ["DELETE", "TRUNCATE", "PERSIST"] {
        let crashed = Crashed::new(&format!("zq-both-{journal_mode}"), journal_mode);
        crashed.assert_rolled_back();
        assert_eq!(crashed.super_journal(), None, "{journal_mode}");
    }
}

#[test]
fn the_super_journal_survives_until_the_second_database_is_rolled_back() {
    let crashed = Crashed::new("zq-child", "DELETE");
    assert_eq!(fingerprint(&open(&crashed.a)), crashed.before[0]);
    assert!(!journal(&crashed.a).exists());
    assert!(journal(&crashed.b).exists());
    assert!(
        crashed.super_journal().is_some(),
        "the other journal still needs it"
    );
    crashed.assert_rolled_back();
    assert_eq!(crashed.super_journal(), None);
}

#[test]
fn after_the_super_journal_is_gone_both_transactions_stand() {
    for journal_mode in ["DELETE", "TRUNCATE", "PERSIST"] {
        let crashed = Crashed::new(&format!("zq-committed-{journal_mode}"), journal_mode);
        fs::remove_file(crashed.super_journal().unwrap()).unwrap();
        for path in [&crashed.a, &crashed.b] {
            let connection = open(path);
            let rows: i64 = one(&connection, "SELECT count(*) FROM t WHERE b = 'new'");
            assert_eq!(rows, 99, "{journal_mode}");
            assert_sound(&connection);
        }
    }
}

#[test]
fn a_trailer_that_names_another_super_journal_does_not_exist() {
    let crashed = Crashed::new("zq-doctored", "DELETE");
    let log = journal(&crashed.b);
    // The last letter of the name, and SQLite's checksum over it, in both places where the trailer stands: plain
    // SQLite would find no such super-journal, and throw the journal away with the transaction half done.
    for end in trailer_ends(&log) {
        let name_end = end - 16;
        let letter = peek(&log, name_end - 1, 1)[0];
        let sum = u32::from_be_bytes(peek(&log, end - 12, 4).try_into().unwrap());
        let other = if letter == b'0' { b'1' } else { b'0' };
        poke(&log, name_end - 1, &[other]);
        let sum = sum - u32::from(letter) + u32::from(other);
        poke(&log, end - 12, &sum.to_be_bytes());
    }
    crashed.assert_rolled_back();
}

#[test]
fn a_trailer_whose_mac_is_wrong_or_missing_does_not_exist() {
    let flipped = Crashed::new("zq-mac-flipped", "DELETE");
    let log = journal(&flipped.b);
    let [_, before_it] = trailer_ends(&log);
    flip(&log, before_it);
    // Its name would be that of a file that is gone: the trailer is not believed.
    fs::remove_file(flipped.super_journal().unwrap()).unwrap();
    assert_eq!(fingerprint(&open(&flipped.b)), flipped.before[1]);

    let missing = Crashed::new("zq-mac-missing", "DELETE");
    let log = journal(&missing.b);
    let [_, before_it] = trailer_ends(&log);
    crate::support::set_len(&log, before_it);
    fs::remove_file(missing.super_journal().unwrap()).unwrap();
    assert_eq!(fingerprint(&open(&missing.b)), missing.before[1]);
}
