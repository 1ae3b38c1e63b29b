//! The end of a journal that names a super-journal: every byte of it flipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use crate::hot::recover;
use crate::log::scratch;
use crate::probe::Probe;
use crate::sample::plain_pages;
use crate::schedule::Schedule;
use crate::support::{PAGE, fill, journal, open_uri, register_new};

/// A database and its journal.
type Files = [Vec<u8>; 2];

/// Bytes of a file right before a transaction over it and another was committed.
struct Member {
    path: PathBuf,
    before: Vec<Option<Vec<u8>>>,
    database: Vec<u8>,
    journal: Vec<u8>,
}

impl Member {
    fn assert(&self, log: &[u8], rolled_back: bool, case: &str) {
        fs::write(&self.path, &self.database).unwrap();
        fs::write(journal(&self.path), log).unwrap();
        assert_eq!(recover(&self.path), Ok(()), "{case}");
        assert!(!journal(&self.path).exists(), "{case}");
        if rolled_back {
            let pages = plain_pages(&self.path, PAGE);
            assert!(pages == self.before, "{case}: not rolled back");
        } else {
            let database = fs::read(&self.path).unwrap();
            assert!(database == self.database, "{case}: rolled back");
        }
    }
}

/// Two databases of one transaction; the super-journal is deleted, so that it is committed.
fn committed(name: &str) -> (TempDir, [Member; 2]) {
    let probe = Probe::install(name, 0);
    let dir = scratch();
    let paths = ["a.db", "b.db"].map(|file| dir.path().join(file));
    for path in &paths {
        register_new(path);
        let connection = open_uri(&format!("file:{}?vfs={name}", path.display())).unwrap();
        fill(&connection, 20);
    }
    let before = paths.each_ref().map(|path| plain_pages(path, PAGE));
    let uri = |path: &Path| format!("file:{}?vfs={name}", path.display());
    let connection = open_uri(&uri(&paths[0])).unwrap();
    connection
        .execute("ATTACH ?1 AS other", [uri(&paths[1])])
        .unwrap();
    let taken: Arc<Mutex<Option<[Files; 2]>>> = Arc::default();
    let (shared, at) = (Arc::clone(&taken), paths.clone());
    probe.before_delete(move |path| {
        if path.contains("-mj") {
            let files = at
                .each_ref()
                .map(|path| [fs::read(path).unwrap(), fs::read(journal(path)).unwrap()]);
            *shared.lock().unwrap() = Some(files);
        }
    });
    connection
        .execute_batch(
            "BEGIN; UPDATE main.t SET b = 'new' WHERE a < 9;
             UPDATE other.t SET b = 'new' WHERE a < 9; COMMIT;",
        )
        .unwrap();
    drop(connection);
    let [a, b] = taken
        .lock()
        .unwrap()
        .take()
        .expect("there was a super-journal");
    let [path_a, path_b] = paths;
    let [before_a, before_b] = before;
    let member = |path, before, [database, journal]: Files| Member {
        path,
        before,
        database,
        journal,
    };
    (
        dir,
        [member(path_a, before_a, a), member(path_b, before_b, b)],
    )
}

/// Where the trailer begins: it stands twice, with a MAC between.
fn trailer_of(log: &[u8]) -> usize {
    let tail = log.len() - 16;
    let name_len = u32::from_be_bytes(log[tail..tail + 4].try_into().unwrap());
    let trailer = 20 + usize::try_from(name_len).unwrap();
    log.len() - 2 * trailer - 32
}

#[test]
fn any_byte_of_a_super_journal_trailer_flipped_undoes_it() {
    let (_dir, members) = committed("zq-tamper-trailer");
    let mut draw = Schedule::new("super-journal trailer", 1);
    for member in &members {
        // Its super-journal is gone: the transaction stands.
        member.assert(&member.journal, false, "untouched");
        let (start, end) = (trailer_of(&member.journal), member.journal.len());
        assert!(end - start > 100);
        for (at, mask) in draw.every(start as u64..end as u64) {
            let case = draw.case(at, mask);
            let mut doctored = member.journal.clone();
            doctored[usize::try_from(at).unwrap()] ^= mask;
            member.assert(&doctored, true, &case);
        }
        for cut in start..end {
            member.assert(&member.journal[..cut], true, &format!("cut at {cut}"));
        }
    }
}

/// The same super-journal, the same length, the same key: the journal's id differs.
#[test]
fn the_trailer_of_the_other_database_of_the_transaction_does_not_fit() {
    let (_dir, [a, b]) = committed("zq-tamper-other-trailer");
    let (start_a, start_b) = (trailer_of(&a.journal), trailer_of(&b.journal));
    let foreign = [&b.journal[..start_b], &a.journal[start_a..]].concat();
    b.assert(&foreign, true, "the other's trailer");
    b.assert(&b.journal, false, "its own");
}

/// In one of two files the transaction is undone, and in the other not.
#[test]
fn a_seal_catches_a_transaction_over_several_files_that_was_undone_in_one() {
    let (_dir, [member, _]) = committed("zq-tamper-caught");
    fs::write(&member.path, &member.database).unwrap();
    drop(fs::remove_file(journal(&member.path)));
    let seal = crate::caught::sealed(&member.path);
    // The trailer altered; and the super-journal that it names there again, as before it was deleted.
    let mut altered = member.journal.clone();
    let at = trailer_of(&altered);
    altered[at] ^= 1;
    member.assert(&altered, true, "accepted: an altered trailer");
    crate::caught::assert_caught(&member.path, &seal);
    member.assert(&member.journal, false, "the trailer as it was");
    crate::caught::assert_fits(&member.path, &seal);
}
