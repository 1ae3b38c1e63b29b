//! Pages that a power cut tore while they were being sealed anew.

use super::*;

/// Pages of a step, as the journal holds them.
const STEP: usize = 64;

/// A copy of a database whose rekey a power cut stops, with the journal of its last step; and the last page of that step.
fn cut_short(path: &Path, folder: &TempDir) -> (std::path::PathBuf, usize) {
    let copy = folder.path().join("copy.db");
    let mut options = RekeyOptions::new(ring_of(OWNER));
    options.step = 256 << 10;
    let mut steps = 0;
    let stopped = zqlite::rekey(path, options, &mut |_| {
        steps += 1;
        if steps == 3 {
            std::fs::copy(path, &copy).unwrap();
        }
        steps < 3
    });
    assert!(matches!(stopped, Err(Error::RekeyStopped { .. })));
    let last = epochs(&copy).iter().rposition(|epoch| *epoch == 2).unwrap();
    write_journal(&copy, last + 1 - STEP..last + 1);
    (copy, last)
}

/// The rekey journal with these pages (from 0) as they stand in the file (FORMAT.md section 8.1).
fn write_journal(database: &Path, pages: std::ops::Range<usize>) {
    let file = std::fs::read(database).unwrap();
    let mut journal = b"zqlite rekey \r\n\x1a".to_vec();
    journal.extend_from_slice(opened(database, OWNER).header.file_id().as_bytes());
    for number in [PAGE, pages.len()] {
        journal.extend_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
    }
    for page in pages {
        journal.extend_from_slice(&u32::try_from(page + 1).unwrap().to_be_bytes());
        let at = usize::try_from(PAGES_AT).unwrap() + page * PAGE;
        journal.extend_from_slice(&file[at..at + PAGE]);
    }
    std::fs::write(support::beside(database, "-rekey"), journal).unwrap();
}

/// Half of the page is still the old one.
fn tear(copy: &Path, before: &[u8], page: usize, trailer_is_old: bool) {
    let at = usize::try_from(PAGES_AT).unwrap() + page * PAGE;
    let half = PAGE / 2;
    let part = if trailer_is_old {
        at + half..at + PAGE
    } else {
        at..at + half
    };
    support::poke(copy, part.start as u64, &before[part]);
}

#[test]
fn a_torn_page_is_read_from_the_journal_and_healed_by_the_next_rekey() {
    for trailer_is_old in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = database(&folder, "DELETE");
        let before = std::fs::read(&path).unwrap();
        let (copy, page) = cut_short(&path, &folder);
        tear(&copy, &before, page, trailer_is_old);
        // Everybody reads it meanwhile.
        let connection = open_with(&copy, COLLEAGUE).unwrap();
        assert_sound(&connection);
        assert_eq!(
            one::<i64>(&connection, "SELECT count(*) FROM t WHERE length(b) = 400"),
            3_000
        );
        drop(connection);
        // Without the journal it is damage.
        let journal = support::beside(&copy, "-rekey");
        let kept = std::fs::read(&journal).unwrap();
        std::fs::remove_file(&journal).unwrap();
        let report = zqlite::verify(
            &copy,
            zqlite::VerifyOptions::new(ring_of(OWNER)),
            &mut |_| true,
        );
        let problems = report.unwrap().problems;
        assert!(
            problems[0].contains(&format!("page {} ", page + 1)),
            "{problems:?}"
        );
        std::fs::write(&journal, kept).unwrap();
        assert!(rekey(&copy).continued);
        assert!(!journal.exists());
        let report = zqlite::verify(
            &copy,
            zqlite::VerifyOptions::new(ring_of(OWNER)),
            &mut |_| true,
        );
        assert_eq!(report.unwrap().problems, Vec::<String>::new());
        assert!(epochs(&copy).iter().all(|epoch| *epoch == 2));
    }
}

#[test]
fn a_journal_that_somebody_put_there_changes_no_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "DELETE");
    let before = std::fs::read(&path).unwrap();
    let (copy, page) = cut_short(&path, &folder);
    let journal = support::beside(&copy, "-rekey");
    let good = std::fs::read(&journal).unwrap();
    let mut tried = 0;
    let mut doctored = vec![
        Vec::new(),
        b"zqlite rekey \r\n\x1a".to_vec(),
        vec![0xff; 100_000],
    ];
    for at in [0, 16, 33, 37, 39] {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        doctored.push(bytes);
    }
    doctored.push(good[..good.len() / 2].to_vec());
    for bytes in doctored {
        std::fs::write(&journal, bytes).unwrap();
        let connection = open_with(&copy, OWNER).unwrap();
        assert_sound(&connection);
        tried += 1;
    }
    assert_eq!(tried, 9);
    // A torn page is not healed with another page, either: records prove which page they are.
    tear(&copy, &before, page, true);
    let mut swapped = good;
    let record = 4 + PAGE;
    let mut number = 40;
    while number + record <= swapped.len() {
        swapped[number + 3] ^= 1;
        number += record;
    }
    std::fs::write(&journal, swapped).unwrap();
    let failed = zqlite::rekey(&copy, RekeyOptions::new(ring_of(OWNER)), &mut |_| true);
    assert_eq!(failed.unwrap_err().verdict(), zqlite::Verdict::Damaged);
}

#[test]
fn a_file_that_is_named_by_a_link_has_its_journal_beside_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "WAL");
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let mut seen = 0;
    let done = zqlite::rekey(&link, RekeyOptions::new(ring_of(OWNER)), &mut |_| {
        assert!(support::beside(&path, "-rekey").exists());
        assert!(!support::beside(&link, "-rekey").exists());
        let second = zqlite::rekey(&path, RekeyOptions::new(ring_of(OWNER)), &mut |_| true);
        assert!(matches!(second, Err(Error::RekeyRuns { .. })));
        seen += 1;
        true
    });
    assert_eq!(done.unwrap().epoch, 2);
    assert!(seen > 0);
}

#[test]
fn a_link_in_the_place_of_the_journal_is_not_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "WAL");
    let other = folder.path().join("precious");
    std::fs::write(&other, "precious").unwrap();
    std::os::unix::fs::symlink(&other, support::beside(&path, "-rekey")).unwrap();
    let refused = zqlite::rekey(&path, RekeyOptions::new(ring_of(OWNER)), &mut |_| true);
    assert!(matches!(refused, Err(Error::Io { .. })));
    assert_eq!(std::fs::read(&other).unwrap(), b"precious");
    assert_eq!(opened(&path, OWNER).header.epoch(), 1);
    std::fs::remove_file(support::beside(&path, "-rekey")).unwrap();
    assert_eq!(rekey(&path).epoch, 2);
}

/// A connection, though a page of the table does not open.
fn raw(path: &Path) -> Connection {
    let builder = Builder::new(path).raw_key(RawKey::from_bytes(OWNER));
    builder.open().unwrap()
}

#[test]
fn a_page_that_was_written_since_is_not_replaced_by_what_the_journal_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "DELETE");
    let (copy, page) = cut_short(&path, &folder);
    let connection = open_with(&copy, OWNER).unwrap();
    connection
        .execute("UPDATE t SET b = 'newer' || substr(b, 6)", [])
        .unwrap();
    assert_sound(&connection);
    drop(connection);
    let changed = PAGES_AT + page as u64 * PAGE as u64;
    support::flip(&copy, changed + 100);
    let connection = raw(&copy);
    let read = support::try_one::<i64>(&connection, "SELECT count(*) FROM t WHERE b LIKE 'newer%'");
    assert_eq!(support::code(read), support::IOERR_DATA);
    drop(connection);
    let failed = zqlite::rekey(&copy, RekeyOptions::new(ring_of(OWNER)), &mut |_| true);
    drop(failed);
    let connection = raw(&copy);
    let read = support::try_one::<i64>(&connection, "SELECT count(*) FROM t WHERE b LIKE 'newer%'");
    assert_eq!(support::code(read), support::IOERR_DATA);
    drop(connection);
    // It was that one byte, and no more.
    support::flip(&copy, changed + 100);
    let connection = open_with(&copy, OWNER).unwrap();
    assert_eq!(
        one::<i64>(&connection, "SELECT count(*) FROM t WHERE b LIKE 'newer%'"),
        3_000
    );
}

#[test]
fn another_name_of_the_database_in_the_place_of_the_journal_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(&folder, "WAL");
    let before = std::fs::read(&path).unwrap();
    let other = folder.path().join("precious");
    std::fs::write(&other, "precious").unwrap();
    for target in [&path, &other] {
        std::fs::hard_link(target, support::beside(&path, "-rekey")).unwrap();
        let refused = zqlite::rekey(&path, RekeyOptions::new(ring_of(OWNER)), &mut |_| true);
        assert!(matches!(refused, Err(Error::Io { .. })));
        std::fs::remove_file(support::beside(&path, "-rekey")).unwrap();
    }
    assert!(before == std::fs::read(&path).unwrap());
    assert_eq!(std::fs::read(&other).unwrap(), b"precious");
    assert_eq!(rekey(&path).epoch, 2);
}
