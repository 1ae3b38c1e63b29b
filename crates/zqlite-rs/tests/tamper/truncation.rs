//! The database file cut at every page and around it, cut to its header and below, and made longer.

use std::fs;

use zqlite::Verdict;

use crate::sample::{Outcome, Sample, reported};
use crate::support::{IOERR_DATA, PAGE, PAGES_AT, builder, set_len, slots};

const COPY: u64 = 65_536;

#[test]
fn a_file_cut_at_any_page_or_beside_it_is_reported_and_no_row_is_wrong() {
    let sample = Sample::new();
    let whole = sample.whole.len() as u64;
    let mut cases = 0;
    for number in 1..=sample.pages() + 1 {
        let boundary = sample.page_at(number);
        for cut in [
            boundary - 512,
            boundary - 1,
            boundary,
            boundary + 1,
            boundary + 512,
        ] {
            if cut <= PAGES_AT || cut >= whole {
                continue;
            }
            sample.restore();
            set_len(&sample.path, cut);
            let case = format!("cut at {cut}");
            // Pages of which anything is missing.
            let first = (cut - PAGES_AT) / PAGE as u64 + 1;
            let lost: Vec<u64> = (first..=sample.pages()).collect();
            let outcome = sample.attempt(&case);
            if sample.outcome_without(&lost) == Outcome::Whole {
                assert_eq!(outcome, Outcome::Whole, "{case}");
            } else {
                let refused = [IOERR_DATA, rusqlite::ffi::SQLITE_CORRUPT];
                assert!(
                    matches!(outcome, Outcome::Refused(code) if refused.contains(&code)),
                    "{case}: {outcome:?}"
                );
            }
            assert!(!reported(&sample.path).is_empty(), "{case}");
            assert_eq!(fs::metadata(&sample.path).unwrap().len(), cut, "{case}");
            cases += 1;
        }
    }
    // Five around each page, but for those that are no cut.
    assert_eq!(cases, 5 * (sample.pages() + 1) - 6);
    sample.restore();
    assert_eq!(sample.attempt("untouched"), Outcome::Whole);
}

#[test]
fn a_file_cut_to_its_header_or_below_never_opens_as_an_empty_database() {
    let sample = Sample::new();
    let cuts = [
        0,
        1,
        16,
        128,
        COPY / 2,
        COPY - 1,
        COPY,
        COPY + 1,
        COPY + COPY / 2,
        PAGES_AT - 1,
        PAGES_AT,
        PAGES_AT + 1,
    ];
    for cut in cuts {
        sample.restore();
        set_len(&sample.path, cut);
        let case = format!("cut to {cut}");
        let outcome = sample.attempt(&case);
        assert!(
            matches!(outcome, Outcome::Closed(_) | Outcome::Refused(_)),
            "{case}: {outcome:?}"
        );
        assert!(!reported(&sample.path).is_empty(), "{case}");
        // A creator makes a new file of what is shorter than a header copy (F-11): that is a deleted file, and a
        // new one has another file id. From one whole copy on, it is this file, and damaged.
        if cut >= COPY {
            let writing = builder(&sample.path)
                .create(slots())
                .open()
                .and_then(|connection| {
                    connection
                        .execute_batch("CREATE TABLE IF NOT EXISTS t(a)")
                        .map_err(zqlite::Error::Sqlite)
                });
            let error = writing.expect_err("a populated file is never empty");
            assert_eq!(error.verdict(), Verdict::Damaged, "{case}: {error}");
        }
        assert_eq!(fs::metadata(&sample.path).unwrap().len(), cut, "{case}");
    }
    sample.restore();
    assert_eq!(sample.attempt("untouched"), Outcome::Whole);
}

#[test]
fn what_is_appended_to_a_file_is_reported_and_no_row_is_wrong() {
    let sample = Sample::new();
    let pages = sample.pages();
    let last = sample.page(pages).to_vec();
    let appended: [(&str, Vec<u8>); 6] = [
        ("one byte", vec![0x5a]),
        ("half a page of zeros", vec![0; PAGE / 2]),
        ("a page of zeros", vec![0; PAGE]),
        ("a page of garbage", vec![0x5a; PAGE]),
        ("the last page again", last),
        ("three pages of zeros", vec![0; 3 * PAGE]),
    ];
    for (case, more) in appended {
        let longer = [sample.whole.as_slice(), &more].concat();
        fs::write(&sample.path, &longer).unwrap();
        assert_eq!(sample.attempt(case), Outcome::Whole, "{case}");
        let found = reported(&sample.path);
        let named = if more.len() < PAGE {
            format!("the file ends {} bytes into a page", more.len())
        } else {
            format!("page {} does not open", pages + 1)
        };
        assert!(found.contains(&named), "{case}: {found:?}");
        assert!(fs::read(&sample.path).unwrap() == longer, "{case}");
    }
}
