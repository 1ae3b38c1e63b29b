//! A hot rollback journal: every byte flipped, cut anywhere, its fields and records doctored.

use crate::hot::{Hot, RECORD, SECTOR, Verdict};
use crate::sample::reported;
use crate::schedule::Schedule;
use crate::support::PAGE;

/// What a flipped byte means (FORMAT.md F-29 to F-31).
fn verdict_of_flip(hot: &Hot, at: usize) -> Verdict {
    let Some(index) = hot.segments.iter().rposition(|s| s.start <= at) else {
        return Verdict::RolledBack;
    };
    let segment = hot.segments[index];
    let within = at - segment.start;
    if within < SECTOR {
        let magic = within < 8;
        let id = (28..44).contains(&within);
        if magic || (id && index > 0) {
            // No header of this journal: it ends here.
            Verdict::EndsBefore(index)
        } else {
            Verdict::Refused
        }
    } else if at < segment.end() && (within - SECTOR) % RECORD < 4 + PAGE {
        Verdict::Refused
    } else {
        // The checksum of a record, the space before a header, and what was never synced.
        Verdict::RolledBack
    }
}

#[test]
fn any_byte_of_a_hot_journal_flipped_has_its_verdict() {
    let hot = Hot::new();
    let mut draw = Schedule::new("hot journal", 4);
    let end = hot.journal.len() as u64;
    let mut flips = draw.flips(0..end);
    assert!(flips.len() as u64 >= draw.at_least(end));
    for segment in &hot.segments {
        // SQLite's part, id, epoch, MAC, and a few of the zeros.
        let start = segment.start as u64;
        flips.extend(draw.every(start..start + 96));
    }
    for record in hot.records() {
        let at = record.at as u64;
        flips.extend(draw.every(at..at + 4));
        flips.extend(draw.every(at + 4 + PAGE as u64 - 48..at + RECORD as u64));
    }
    let mut seen = [0; 4];
    for (number, (at, mask)) in flips.into_iter().enumerate() {
        let case = draw.case(at, mask);
        let at = usize::try_from(at).unwrap();
        let mut doctored = hot.journal.clone();
        doctored[at] ^= mask;
        let verdict = verdict_of_flip(&hot, at);
        hot.assert_verdict(&doctored, verdict, &case);
        seen[match verdict {
            Verdict::RolledBack => 0,
            Verdict::Refused => 1,
            Verdict::EndsBefore(0) => 2,
            Verdict::EndsBefore(_) => 3,
        }] += 1;
        if verdict == Verdict::Refused && number % 16 == 0 {
            assert!(!reported(&hot.victim).is_empty(), "{case}");
        }
    }
    assert!(seen.iter().all(|&cases| cases > 0), "{seen:?}");
}

/// What is left where a journal is cut.
fn verdict_of_cut(hot: &Hot, cut: usize) -> Verdict {
    for (index, segment) in hot.segments.iter().enumerate() {
        if cut < segment.start + SECTOR {
            return Verdict::EndsBefore(index);
        }
        if cut < segment.end() {
            return Verdict::Refused;
        }
    }
    Verdict::RolledBack
}

#[test]
fn a_hot_journal_cut_anywhere_has_its_verdict() {
    let hot = Hot::new();
    let mut draw = Schedule::new("hot journal cut", 4);
    let len = hot.journal.len() as u64;
    let mut cuts = draw.offsets(1..len);
    assert!(cuts.len() as u64 + 1 >= draw.at_least(len - 1));
    for segment in &hot.segments {
        for at in [
            segment.start,
            segment.start + SECTOR,
            segment.record_at(1),
            segment.end() - 4,
            segment.end(),
        ] {
            cuts.extend([at.saturating_sub(1), at, at + 1].map(|cut| cut as u64));
        }
    }
    for cut in cuts {
        let cut = usize::try_from(cut).unwrap();
        let verdict = verdict_of_cut(&hot, cut);
        hot.assert_verdict(&hot.journal[..cut], verdict, &format!("cut at {cut}"));
    }
}

#[test]
fn no_field_of_a_header_can_be_set_to_another_value() {
    let hot = Hot::new();
    let mut cases = 0;
    for segment in &hot.segments {
        let count = u32::try_from(segment.count).unwrap();
        let fields: [(&str, usize, Vec<u32>); 6] = [
            (
                "count",
                8,
                vec![0, count - 1, count + 1, 1_000, u32::MAX - 1, u32::MAX],
            ),
            ("seed", 12, vec![0, 1, u32::MAX]),
            ("initial page count", 16, vec![0, 1, 2, 1_000, u32::MAX]),
            ("sector size", 20, vec![0, 32, 1_024, 4_096]),
            ("page size", 24, vec![0, 512, 8_192, 65_536]),
            ("epoch", 44, vec![0, 2, u32::MAX]),
        ];
        for (name, at, values) in fields {
            for value in values {
                let mut doctored = hot.journal.clone();
                let field = segment.start + at..segment.start + at + 4;
                assert!(doctored[field.clone()] != value.to_be_bytes());
                doctored[field].copy_from_slice(&value.to_be_bytes());
                let case = format!("{name} {value} at {}", segment.start);
                hot.assert_verdict(&doctored, Verdict::Refused, &case);
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 2 * 25);
}

#[test]
fn no_record_counts_for_another_page_or_in_another_place() {
    let hot = Hot::new();
    let records = hot.records();
    let mut cases = 0;
    let lock_byte_page = (1 << 30) / u32::try_from(PAGE).unwrap() + 1;
    for record in &records {
        let pages = u32::try_from(hot.database.len() / PAGE - 32).unwrap();
        for page in (0..=pages + 1).chain([lock_byte_page, u32::MAX]) {
            if page != record.page {
                let mut doctored = hot.journal.clone();
                doctored[record.at..record.at + 4].copy_from_slice(&page.to_be_bytes());
                let case = format!("record of page {} for {page}", record.page);
                hot.assert_verdict(&doctored, Verdict::Refused, &case);
                cases += 1;
            }
        }
        for other in records.iter().filter(|other| other.at != record.at) {
            let mut doctored = hot.journal.clone();
            doctored[record.at..record.at + RECORD]
                .copy_from_slice(&hot.journal[other.at..other.at + RECORD]);
            let case = format!("record at {} over {}", other.at, record.at);
            hot.assert_verdict(&doctored, Verdict::Refused, &case);
            cases += 1;
        }
        // Another nonce, and none.
        for nonce in [[0; 24], [0xff; 24]] {
            let mut doctored = hot.journal.clone();
            let at = record.at + 4 + PAGE - 48;
            doctored[at..at + 24].copy_from_slice(&nonce);
            let case = format!("nonce of the record at {}", record.at);
            hot.assert_verdict(&doctored, Verdict::Refused, &case);
            cases += 1;
        }
    }
    assert!(cases > records.len() * (records.len() + 10), "{cases}");
}

#[test]
fn segments_that_are_exchanged_or_repeated_do_not_count() {
    let hot = Hot::new();
    let [first, second] = hot.segments[..] else {
        panic!("two segments");
    };
    let part = |from: usize, to: usize| &hot.journal[from..to];
    let whole_second = part(second.start, second.end());
    let header = |start: usize| part(start, start + SECTOR);
    // The header of the second one in the place of the first, and the other way round.
    let swapped = [header(second.start), &hot.journal[SECTOR..]].concat();
    hot.assert_verdict(&swapped, Verdict::Refused, "second header first");
    let again = [
        part(0, second.start),
        header(first.start),
        &hot.journal[second.start + SECTOR..],
    ]
    .concat();
    hot.assert_verdict(&again, Verdict::Refused, "first header again");
    hot.assert_verdict(whole_second, Verdict::Refused, "the second segment alone");
    // Behind the synced ones, where SQLite looks for a third.
    let end = second.end().next_multiple_of(SECTOR);
    let behind = [part(0, end), whole_second].concat();
    hot.assert_verdict(
        &behind,
        Verdict::Refused,
        "the second segment behind itself",
    );
}
