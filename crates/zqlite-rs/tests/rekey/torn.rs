//! Pages that a power cut tore while they were being sealed anew.

use super::*;

/// Stops a rekey as a power cut would, with its last step in the journal; returns a page of that step.
fn cut_short(path: &Path, folder: &TempDir) -> (std::path::PathBuf, usize) {
    let copy = folder.path().join("copy.db");
    let mut options = RekeyOptions::new(ring_of(OWNER));
    options.rate = Some(1 << 40);
    let mut steps = 0;
    let stopped = zqlite::rekey(path, options, &mut |_| {
        steps += 1;
        if steps == 3 {
            for suffix in ["", "-rekey"] {
                let name = |path: &Path| support::beside(path, suffix);
                std::fs::copy(name(path), name(&copy)).unwrap();
            }
        }
        steps < 3
    });
    assert!(matches!(stopped, Err(Error::RekeyStopped { .. })));
    let last = epochs(&copy).iter().rposition(|epoch| *epoch == 2).unwrap();
    (copy, last)
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
