//! Pages exchanged: within a file, with another file, with what stands in WAL and journal; zeroed; of another epoch.

use crate::hot::Hot;
use crate::log::Log;
use crate::sample::{Outcome, Sample, reported};
use crate::support::{PAGE, page_at, poke};

/// Puts bytes in the place of a page, and asserts that they do not open there.
fn assert_refused(sample: &Sample, number: u64, bytes: &[u8], case: &str) {
    assert!(bytes != sample.page(number), "{case}: nothing changes");
    poke(&sample.path, sample.page_at(number), bytes);
    assert_bad(sample, &[number], case);
    poke(&sample.path, sample.page_at(number), sample.page(number));
}

fn assert_bad(sample: &Sample, numbers: &[u64], case: &str) {
    let expected = sample.outcome_without(numbers);
    assert_eq!(sample.attempt(case), expected, "{case}");
    let found = reported(&sample.path);
    for number in numbers {
        let named = format!("page {number} does not open");
        assert!(found.contains(&named), "{case}: {found:?}");
    }
}

fn assert_mended(sample: &Sample) {
    sample.assert_unchanged();
    assert_eq!(sample.attempt("untouched"), Outcome::Whole);
    assert_eq!(reported(&sample.path), Vec::<String>::new());
}

#[test]
fn no_page_opens_in_the_place_of_another() {
    let sample = Sample::new();
    let mut cases = 0;
    for to in 1..=sample.pages() {
        for from in (1..=sample.pages()).filter(|&from| from != to) {
            let case = format!("page {from} over page {to}");
            assert_refused(&sample, to, sample.page(from), &case);
            cases += 1;
        }
    }
    assert_eq!(cases, sample.pages() * (sample.pages() - 1));
    assert_mended(&sample);
}

#[test]
fn no_two_pages_change_places() {
    let sample = Sample::new();
    let mut cases = 0;
    for a in 1..=sample.pages() {
        for b in a + 1..=sample.pages() {
            poke(&sample.path, sample.page_at(a), sample.page(b));
            poke(&sample.path, sample.page_at(b), sample.page(a));
            assert_bad(&sample, &[a, b], &format!("pages {a} and {b} swapped"));
            poke(&sample.path, sample.page_at(a), sample.page(a));
            poke(&sample.path, sample.page_at(b), sample.page(b));
            cases += 1;
        }
    }
    assert_eq!(cases, sample.pages() * (sample.pages() - 1) / 2);
    assert_mended(&sample);
}

#[test]
fn no_page_may_be_zeros() {
    let sample = Sample::new();
    for number in 1..=sample.pages() {
        assert_refused(
            &sample,
            number,
            &[0; PAGE],
            &format!("page {number} zeroed"),
        );
        // Zeros as SQLite sees them, under the trailer that was there.
        let mut blank = sample.page(number).to_vec();
        blank[..PAGE - 48].fill(0);
        assert_refused(&sample, number, &blank, &format!("page {number} blanked"));
    }
    assert_mended(&sample);
}

#[test]
fn no_page_of_another_file_with_the_same_key_opens() {
    let (sample, other) = (Sample::new(), Sample::new());
    let mut cases = 0;
    for to in 1..=sample.pages() {
        for from in 1..=other.pages() {
            let case = format!("page {from} of another file over page {to}");
            assert_refused(&sample, to, other.page(from), &case);
            cases += 1;
        }
    }
    assert_eq!(cases, sample.pages() * other.pages());
    assert_mended(&sample);
}

/// Every epoch but 1 is unknown here, and so is one that would have been retired.
#[test]
fn no_page_opens_under_another_epoch() {
    let sample = Sample::new();
    for number in 1..=sample.pages() {
        for epoch in [0_u32, 2, 3, 256, 0x8000_0001, u32::MAX] {
            let mut page = sample.page(number).to_vec();
            page[PAGE - 24..PAGE - 20].copy_from_slice(&epoch.to_be_bytes());
            assert_refused(
                &sample,
                number,
                &page,
                &format!("page {number}, epoch {epoch}"),
            );
        }
    }
    assert_mended(&sample);
}

/// The same file, the same page number, the same key: the kind of file and the place differ.
#[test]
fn no_page_of_the_log_or_of_a_journal_opens_in_the_database() {
    let log = Log::new();
    let victim = log.victim();
    let mut cases = 0;
    for (index, frame) in log.frames.iter().enumerate() {
        victim.place(&log.database, &[]);
        let stored = &log.frame(index)[24..];
        if u64::from(frame.page) > log.pages() {
            continue;
        }
        poke(&victim.path, page_at(u64::from(frame.page)), stored);
        let named = format!("page {} does not open", frame.page);
        assert!(reported(&victim.path).contains(&named), "frame {index}");
        // Whichever page it is, no row is wrong.
        victim.attempt(&log.states[0], &format!("frame {index}"));
        cases += 1;
    }
    assert!(cases >= 4, "{cases}");

    let hot = Hot::new();
    let mut cases = 0;
    for record in hot.records() {
        hot.place(&hot.settled, &[]);
        poke(
            &hot.victim,
            page_at(u64::from(record.page)),
            hot.record_page(&record),
        );
        let named = format!("page {} does not open", record.page);
        assert!(reported(&hot.victim).contains(&named), "{named}");
        cases += 1;
    }
    assert!(cases >= 4, "{cases}");
    hot.place(&hot.settled, &[]);
    assert_eq!(reported(&hot.victim), Vec::<String>::new());
}
