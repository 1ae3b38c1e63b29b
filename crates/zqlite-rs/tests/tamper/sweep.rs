//! Every byte of the database file: of both header copies, and of every page.

use crate::sample::{Outcome, Sample, reported};
use crate::schedule::Schedule;
use crate::support::PAGES_AT;

/// Length of a header copy.
const COPY: u64 = 65_536;
/// Prefix, and the body before the signer's key: every byte has a meaning of its own.
const FIELDS: u64 = 128 + 72;
/// Where a slot's details end in an unsigned header with one slot; padding follows.
const END_OF_SLOTS: u64 = 128 + 2_024 + 2_528;

/// Flips bytes of one header copy: the other is used, and `verify` names the one that was altered.
fn sweep_copy(sample: &Sample, copy: u64, name: &str, mut flips: Vec<(u64, u8)>, draw: &Schedule) {
    flips.sort_unstable();
    let named = format!("header copy {name} ");
    for (at, mask) in flips {
        let case = draw.case(at, mask);
        assert!(at / COPY == copy);
        sample.flip(at, mask);
        assert_eq!(sample.attempt(&case), Outcome::Whole, "{case}");
        let found = reported(&sample.path);
        assert!(
            found.len() == 1 && found[0].starts_with(&named),
            "{case}: {found:?}"
        );
        sample.mend(at);
    }
    sample.assert_unchanged();
}

fn sweep_header(copy: u64, name: &str) {
    let sample = Sample::new();
    let mut draw = Schedule::new(&format!("header copy {name}"), 1);
    let start = copy * COPY;
    let mut flips = draw.flips(start..start + COPY);
    assert!(flips.len() as u64 >= draw.at_least(COPY));
    flips.extend(draw.every(start..start + FIELDS));
    flips.extend(draw.every(start + COPY - 32..start + COPY));
    sweep_copy(&sample, copy, name, flips, &draw);
}

#[test]
fn any_byte_of_header_copy_a_flipped_is_reported_and_no_row_is_wrong() {
    sweep_header(0, "A");
}

#[test]
fn any_byte_of_header_copy_b_flipped_is_reported_and_no_row_is_wrong() {
    sweep_header(1, "B");
}

/// The same byte flipped in both copies: there is no header any more.
#[test]
fn any_byte_flipped_in_both_header_copies_closes_the_file() {
    let sample = Sample::new();
    let mut draw = Schedule::new("both header copies", 8);
    let mut flips = draw.flips(0..COPY);
    flips.extend(draw.every(0..FIELDS));
    flips.extend(draw.flips(FIELDS..END_OF_SLOTS));
    assert!(flips.len() as u64 >= draw.at_least(COPY) + FIELDS);
    for (at, mask) in flips {
        let case = draw.case(at, mask);
        sample.flip(at, mask);
        sample.flip(COPY + at, mask);
        let outcome = sample.attempt(&case);
        assert!(matches!(outcome, Outcome::Closed(_)), "{case}: {outcome:?}");
        let found = reported(&sample.path);
        assert_eq!(found.len(), 1, "{case}: {found:?}");
        sample.mend(at);
        sample.mend(COPY + at);
    }
    sample.assert_unchanged();
}

/// Flips bytes of pages: reading the page is an error, and `verify` names it.
fn sweep_pages(sample: &Sample, flips: Vec<(u64, u8)>, draw: &Schedule) {
    for (at, mask) in flips {
        let case = draw.case(at, mask);
        let page = (at - PAGES_AT) / sample.page_len as u64 + 1;
        sample.flip(at, mask);
        let expected = sample.outcome_without(&[page]);
        assert_eq!(sample.attempt(&case), expected, "page {page}, {case}");
        let found = reported(&sample.path);
        let named = format!("page {page} does not open");
        assert!(found.contains(&named), "page {page}, {case}: {found:?}");
        sample.mend(at);
    }
    sample.assert_unchanged();
    assert_eq!(sample.attempt("untouched"), Outcome::Whole);
}

#[test]
fn any_byte_of_any_page_flipped_is_reported_and_no_row_is_wrong() {
    let sample = Sample::new();
    let mut draw = Schedule::new("pages", 1);
    let end = sample.whole.len() as u64;
    let mut flips = draw.flips(PAGES_AT..end);
    assert!(flips.len() as u64 >= draw.at_least(end - PAGES_AT));
    for page in 1..=sample.pages() {
        let next = sample.page_at(page + 1);
        flips.extend(draw.every(next - 48..next));
    }
    sweep_pages(&sample, flips, &draw);
}

/// Pages as long as a header copy.
#[test]
fn any_byte_of_a_file_with_the_largest_pages_flipped_is_reported() {
    let sample = Sample::with_pages_of(65_536);
    let mut draw = Schedule::new("pages of 65,536 bytes", 32);
    for (copy, name) in [(0, "A"), (1, "B")] {
        let flips = draw.flips(copy * COPY..(copy + 1) * COPY);
        assert!(flips.len() as u64 >= draw.at_least(COPY));
        sweep_copy(&sample, copy, name, flips, &draw);
    }
    let end = sample.whole.len() as u64;
    let mut flips = draw.flips(PAGES_AT..end);
    assert!(flips.len() as u64 >= draw.at_least(end - PAGES_AT));
    let last = sample.page_at(sample.pages() + 1);
    flips.extend(draw.every(last - 48..last));
    sweep_pages(&sample, flips, &draw);
}
