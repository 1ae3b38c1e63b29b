//! Journals that somebody puts there: made up without a key, of another database, of an earlier transaction; and
//! trailers that name a super-journal.

use crate::hot::{Hot, MAGIC, RECORD, SECTOR, Verdict};
use crate::schedule::Schedule;
use crate::support::{IOERR_DATA, PAGE};

/// SQLite's part of a header, with a record count, and whatever follows it up to the end of the sector.
fn made_up_header(hot: &Hot, count: u32, rest: &[u8]) -> Vec<u8> {
    let pages = u32::try_from(hot.settled.len() / PAGE - 32).unwrap();
    let mut header = MAGIC.to_vec();
    for field in [count, 0, pages, 512, u32::try_from(PAGE).unwrap()] {
        header.extend_from_slice(&field.to_be_bytes());
    }
    header.extend_from_slice(rest);
    header.resize(SECTOR, 0);
    header
}

/// A record that sets a page to bytes of the attacker's.
fn made_up_record(page: u32, content: &[u8]) -> Vec<u8> {
    let mut record = page.to_be_bytes().to_vec();
    record.extend_from_slice(content);
    record.resize(RECORD, 0);
    record
}

/// What plain SQLite finds at the end of a journal of a transaction over several files.
fn made_up_trailer(name: &str) -> Vec<u8> {
    let lock_byte_page = (1_u32 << 30) / u32::try_from(PAGE).unwrap() + 1;
    let sum: u32 = name.bytes().map(u32::from).sum();
    let len = u32::try_from(name.len()).unwrap();
    [
        lock_byte_page.to_be_bytes().as_slice(),
        name.as_bytes(),
        &len.to_be_bytes(),
        &sum.to_be_bytes(),
        &MAGIC,
    ]
    .concat()
}

#[test]
fn a_journal_made_up_without_a_key_never_changes_a_page() {
    let hot = Hot::new();
    let mut draw = Schedule::new("made-up journals", 1);
    let mut random = |len: usize| -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len).map(|_| draw.draw().to_le_bytes()[0]).collect();
        bytes.iter_mut().take(1).for_each(|byte| *byte |= 1);
        bytes
    };
    // The id and epoch of a journal that the attacker has seen; with a MAC of his own.
    let seen = hot.journal[28..48].to_vec();
    let mut cases = 0;
    for count in [0_u32, 1, 2, u32::MAX] {
        for rest in [
            Vec::new(),
            seen.clone(),
            [seen.clone(), random(32)].concat(),
            random(484),
        ] {
            let header = made_up_header(&hot, count, &rest);
            for content in [vec![0; PAGE], random(PAGE), hot.settled[..PAGE].to_vec()] {
                let records = [made_up_record(1, &content), made_up_record(2, &content)].concat();
                let log = [header.as_slice(), &records].concat();
                let case = format!("count {count}, {} bytes of header", 28 + rest.len());
                hot.assert_no_effect(&log, Err(IOERR_DATA), &case);
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 4 * 4 * 3);
    // Nothing that looks like a journal is none.
    for len in [1, 27, 28, 511, 512, 513, 5_000] {
        hot.assert_no_effect(&random(len), Ok(()), &format!("{len} random bytes"));
    }
    // A header that is cut short, and an authentic one whose MAC belongs to another place or time.
    hot.assert_no_effect(&hot.journal[..SECTOR - 1], Ok(()), "a header cut short");
    let mut mixed = made_up_header(&hot, 1, &hot.journal[28..80]);
    mixed.extend_from_slice(&hot.journal[SECTOR..SECTOR + RECORD]);
    hot.assert_no_effect(&mixed, Err(IOERR_DATA), "a count of 1 under a MAC of more");
}

#[test]
fn a_journal_of_another_database_with_the_same_key_never_changes_a_page() {
    let (hot, other) = (Hot::new(), Hot::new());
    hot.assert_no_effect(&other.journal, Err(IOERR_DATA), "the whole journal");
    // Under a journal of this file: each record, and each header.
    let theirs = other.records();
    for record in hot.records() {
        for foreign in &theirs {
            let mut doctored = hot.journal.clone();
            doctored[record.at..record.at + RECORD]
                .copy_from_slice(&other.journal[foreign.at..foreign.at + RECORD]);
            let case = format!("their record at {} for ours at {}", foreign.at, record.at);
            hot.assert_verdict(&doctored, Verdict::Refused, &case);
        }
    }
    for (index, segment) in hot.segments.iter().enumerate() {
        let mut doctored = hot.journal.clone();
        let header = segment.start..segment.start + SECTOR;
        doctored[header.clone()].copy_from_slice(&other.journal[header]);
        // A later header with another id is left from an earlier transaction: the journal ends.
        let verdict = if index == 0 {
            Verdict::Refused
        } else {
            Verdict::EndsBefore(index)
        };
        hot.assert_verdict(&doctored, verdict, &format!("their header {index}"));
    }
}

#[test]
fn parts_of_a_journal_of_an_earlier_transaction_never_change_a_page() {
    let earlier = Hot::new();
    let old = earlier.journal.clone();
    let hot = earlier.next_transaction();
    assert_eq!(
        old.len(),
        hot.journal.len(),
        "the same pages in the same places"
    );
    let mut cases = 0;
    for record in hot.records() {
        let range = record.at..record.at + RECORD;
        assert_eq!(old[range.start..][..4], hot.journal[range.start..][..4]);
        let mut doctored = hot.journal.clone();
        doctored[range.clone()].copy_from_slice(&old[range]);
        let case = format!("the older record of page {}", record.page);
        hot.assert_verdict(&doctored, Verdict::Refused, &case);
        cases += 1;
    }
    assert!(cases >= 4);
    // Its header with our records, and our header with its records.
    let theirs = [&old[..SECTOR], &hot.journal[SECTOR..]].concat();
    hot.assert_verdict(&theirs, Verdict::Refused, "the older header");
    let ours = [&hot.journal[..SECTOR], &old[SECTOR..]].concat();
    hot.assert_verdict(&ours, Verdict::Refused, "the older records");
    // Its second segment behind our first: it is left from earlier, and the rollback ends before it.
    let second = hot.segments[1].start;
    let spliced = [&hot.journal[..second], &old[second..]].concat();
    hot.assert_verdict(&spliced, Verdict::EndsBefore(1), "the older second segment");
}

/// The super-journal does not exist: were its name believed, the journal would be thrown away, and the transaction left
/// half done.
#[test]
fn a_trailer_that_somebody_appends_to_a_hot_journal_does_not_exist() {
    let hot = Hot::new();
    let gone = hot.victim.with_file_name("victim.db-mj0123456789");
    let trailer = made_up_trailer(gone.to_str().unwrap());
    let appended: [(&str, Vec<u8>); 6] = [
        ("SQLite's", trailer.clone()),
        ("without a MAC", [trailer.clone(), trailer.clone()].concat()),
        (
            "with zeros for a MAC",
            [trailer.as_slice(), &[0; 32], &trailer].concat(),
        ),
        (
            "with the MAC of the header",
            [trailer.as_slice(), &hot.journal[48..80], &trailer].concat(),
        ),
        ("of an empty name", made_up_trailer("")),
        ("of a long name", made_up_trailer(&"x".repeat(70_000))),
    ];
    let synced = hot.segments[1].end();
    for (case, trailer) in appended {
        // Behind everything, and behind what is synced.
        let behind = [hot.journal.as_slice(), &trailer].concat();
        hot.assert_verdict(&behind, Verdict::RolledBack, case);
        let instead = [&hot.journal[..synced], &trailer].concat();
        hot.assert_verdict(&instead, Verdict::RolledBack, case);
    }
    // Without a journal before it, it is none either.
    hot.assert_no_effect(&trailer, Ok(()), "a trailer alone");
}
