//! The write-ahead log: every byte flipped, cut anywhere, frames moved and taken from elsewhere. What is recovered is
//! the state after a prefix of the commits, and exactly the one before the first frame that is not as it was.

use std::fs;

use crate::log::{FRAME, HEADER, Log, Victim};
use crate::sample::{Outcome, reported};
use crate::schedule::Schedule;

/// The log is as it was in its first `good` frames.
fn assert_prefix(log: &Log, victim: &Victim, good: usize, case: &str) {
    let state = &log.states[log.commits_in(good)];
    assert_eq!(victim.attempt(state, case), Outcome::Whole, "{case}");
}

/// Frames that are whole in a log of this length.
fn frames_in(len: usize) -> usize {
    len.saturating_sub(Log::frame_at(0)) / (Log::frame_at(1) - Log::frame_at(0))
}

/// What `verify` says of a log with a byte flipped: it names every loss, but for that of the last frame, which it cannot
/// tell from one that a power cut tore.
fn named(log: &Log, at: u64) -> Vec<String> {
    let frames = log.frames.len() as u64;
    match at.checked_sub(HEADER).map(|at| at / FRAME) {
        None => vec![format!(
            "the header of the WAL does not open: none of its {frames} frames counts"
        )],
        Some(frame) if frame + 1 < frames => vec![format!(
            "WAL frame {} does not open, but one after it does",
            frame + 1
        )],
        Some(_) => Vec::new(),
    }
}

#[test]
fn any_byte_of_the_log_flipped_gives_the_state_before_its_commit() {
    let log = Log::new();
    let victim = log.victim();
    victim.place(&log.database, &log.log);
    assert_prefix(&log, &victim, log.frames.len(), "untouched");
    let mut draw = Schedule::new("log", 1);
    let end = log.log.len() as u64;
    let mut flips = draw.every(0..HEADER);
    for frame in 0..log.frames.len() {
        let at = Log::frame_at(frame) as u64;
        flips.extend(draw.every(at..at + 24));
        flips.extend(draw.every(at + FRAME - 48..at + FRAME));
    }
    let fields = flips.len();
    flips.extend(draw.flips(0..end));
    assert!((flips.len() - fields) as u64 >= draw.at_least(end));
    for (number, (at, mask)) in flips.into_iter().enumerate() {
        let case = draw.case(at, mask);
        let mut doctored = log.log.clone();
        doctored[usize::try_from(at).unwrap()] ^= mask;
        victim.place_log(&doctored);
        let good = usize::try_from(at.saturating_sub(HEADER) / FRAME).unwrap();
        assert_prefix(&log, &victim, good, &case);
        if number < fields || number % 8 == 0 {
            assert_eq!(reported(&victim.path), named(&log, at), "{case}");
        }
        if number % 64 == 0 {
            // What was recovered reaches the database, and no more.
            let state = &log.states[log.commits_in(good)];
            victim.place_log(&doctored);
            let outcome = victim.attempt_and_checkpoint(state, &case);
            assert_eq!(outcome, Outcome::Whole, "{case}");
            assert_eq!(reported(&victim.path), Vec::<String>::new(), "{case}");
            assert_eq!(victim.attempt(state, &case), Outcome::Whole, "{case}");
            victim.place(&log.database, &[]);
        }
    }
    assert!(fs::read(&victim.path).unwrap() == log.database);
}

#[test]
fn a_log_cut_anywhere_gives_the_state_after_the_commits_that_are_whole() {
    let log = Log::new();
    let victim = log.victim();
    let mut draw = Schedule::new("log cut", 1);
    let len = log.log.len() as u64;
    let mut cuts = draw.offsets(0..len);
    assert!(cuts.len() as u64 >= draw.at_least(len));
    for boundary in (0..=log.frames.len()).map(|frame| Log::frame_at(frame) as u64) {
        cuts.extend([boundary - 1, boundary, boundary + 1, boundary + 24]);
    }
    cuts.extend([0, 1, 31, 33]);
    cuts.retain(|&cut| cut <= len);
    victim.place(&log.database, &[]);
    for cut in cuts {
        let cut = usize::try_from(cut).unwrap();
        victim.place_log(&log.log[..cut]);
        assert_prefix(&log, &victim, frames_in(cut), &format!("cut at {cut}"));
    }
    assert!(fs::read(&victim.path).unwrap() == log.database);
}

#[test]
fn a_frame_put_in_the_place_of_another_ends_the_log() {
    let log = Log::new();
    let victim = log.victim();
    victim.place(&log.database, &[]);
    let mut cases = 0;
    for to in 0..log.frames.len() {
        for from in (0..log.frames.len()).filter(|&from| from != to) {
            let mut doctored = log.log.clone();
            doctored[Log::frame_at(to)..Log::frame_at(to + 1)].copy_from_slice(log.frame(from));
            victim.place_log(&doctored);
            assert_prefix(&log, &victim, to, &format!("frame {from} over {to}"));
            // Header and page of different frames.
            let mut doctored = log.log.clone();
            doctored[Log::frame_at(to) + 24..Log::frame_at(to + 1)]
                .copy_from_slice(&log.frame(from)[24..]);
            victim.place_log(&doctored);
            assert_prefix(&log, &victim, to, &format!("page of {from} in {to}"));
            if from > to {
                doctored.clone_from(&log.log);
                doctored[Log::frame_at(to)..Log::frame_at(to + 1)].copy_from_slice(log.frame(from));
                doctored[Log::frame_at(from)..Log::frame_at(from + 1)]
                    .copy_from_slice(log.frame(to));
                victim.place_log(&doctored);
                assert_prefix(&log, &victim, to, &format!("{to} and {from} swapped"));
            }
            cases += 1;
        }
    }
    assert_eq!(cases, log.frames.len() * (log.frames.len() - 1));
}

#[test]
fn a_frame_that_is_repeated_or_left_out_ends_the_log() {
    let log = Log::new();
    let victim = log.victim();
    victim.place(&log.database, &[]);
    for at in 0..log.frames.len() {
        for from in 0..log.frames.len() {
            let (before, after) = log.log.split_at(Log::frame_at(at));
            victim.place_log(&[before, log.frame(from), after].concat());
            // In front of itself it is in its own place: what follows is not.
            let good = if from == at { at + 1 } else { at };
            assert_prefix(&log, &victim, good, &format!("frame {from} before {at}"));
        }
        let without = [
            &log.log[..Log::frame_at(at)],
            &log.log[Log::frame_at(at + 1)..],
        ]
        .concat();
        victim.place_log(&without);
        assert_prefix(&log, &victim, at, &format!("without frame {at}"));
    }
    // Behind the end: the last frame, and the whole log.
    let all = log.frames.len();
    for from in 0..all {
        victim.place_log(&[&log.log, log.frame(from)].concat());
        assert_prefix(&log, &victim, all, &format!("frame {from} appended"));
    }
    victim.place_log(&[log.log.as_slice(), &log.log[32..]].concat());
    assert_prefix(&log, &victim, all, "all frames appended");
    victim.place_log(&[log.log.as_slice(), &log.log].concat());
    assert_prefix(&log, &victim, all, "the log appended");
}

/// Each frame, each page and the header of `other`, in the same place and in every other.
fn assert_nothing_of_it_is_applied(log: &Log, other: &[u8], what: &str) {
    let victim = log.victim();
    victim.place(&log.database, &[]);
    let frames = frames_in(other.len());
    assert!(frames >= 4);
    for to in 0..log.frames.len() {
        for from in 0..frames {
            let theirs = &other[Log::frame_at(from)..Log::frame_at(from + 1)];
            let mut doctored = log.log.clone();
            doctored[Log::frame_at(to)..Log::frame_at(to + 1)].copy_from_slice(theirs);
            victim.place_log(&doctored);
            assert_prefix(log, &victim, to, &format!("{what}: frame {from} at {to}"));
            let mut doctored = log.log.clone();
            doctored[Log::frame_at(to) + 24..Log::frame_at(to + 1)].copy_from_slice(&theirs[24..]);
            victim.place_log(&doctored);
            assert_prefix(log, &victim, to, &format!("{what}: page {from} in {to}"));
        }
        // Everything from here on is theirs.
        if to < frames {
            let spliced = [&log.log[..Log::frame_at(to)], &other[Log::frame_at(to)..]].concat();
            victim.place_log(&spliced);
            assert_prefix(log, &victim, to, &format!("{what}: from {to} on"));
        }
    }
    victim.place_log(&[&other[..32], &log.log[32..]].concat());
    assert_prefix(log, &victim, 0, &format!("{what}: its header"));
    let appended = [log.log.as_slice(), &other[32..]].concat();
    victim.place_log(&appended);
    assert_prefix(log, &victim, log.frames.len(), &format!("{what}: appended"));
}

#[test]
fn no_frame_of_an_earlier_generation_is_applied() {
    let earlier = Log::new();
    let theirs = earlier.log.clone();
    let log = earlier.next_generation();
    assert!(theirs[16..32] != log.log[16..32], "other salts");
    assert_nothing_of_it_is_applied(&log, &theirs, "earlier generation");
}

#[test]
fn no_frame_of_another_database_with_the_same_key_is_applied() {
    let (log, other) = (Log::new(), Log::new());
    assert_nothing_of_it_is_applied(&log, &other.log, "another database");
    let victim = log.victim();
    victim.place(&log.database, &other.log);
    assert_prefix(&log, &victim, 0, "the whole log of another database");
}

/// A copy of file and log that goes its own way has the same salts: its frames open, but do not continue this log.
#[test]
fn frames_of_a_copy_that_went_its_own_way_do_not_mix_with_those_of_the_log() {
    let log = Log::new();
    let victim = log.victim();
    let common = log.frames.len();
    let branch = |text: &str| {
        victim.place(&log.database, &log.log);
        let connection = crate::support::open(&victim.path);
        let mut states = Vec::new();
        connection
            .execute_batch("PRAGMA wal_autocheckpoint=0")
            .unwrap();
        for row in 0..3 {
            let sql = "UPDATE t SET c = ?1 WHERE a = ?2";
            connection.execute(sql, (text, row + 10)).unwrap();
            states.push(crate::sample::contents(&connection));
        }
        let bytes = fs::read(crate::support::wal(&victim.path)).unwrap();
        assert_eq!(frames_in(bytes.len()), common + 3);
        assert!(bytes[..log.log.len()] == log.log, "the same beginning");
        (bytes, states)
    };
    let ((a, a_states), (b, b_states)) = (branch("branch a"), branch("branch b"));
    victim.place(&log.database, &a);
    assert_eq!(victim.attempt(&a_states[2], "branch a"), Outcome::Whole);
    for at in 0..3 {
        let range = Log::frame_at(common + at)..Log::frame_at(common + at + 1);
        let mut mixed = a.clone();
        mixed[range.clone()].copy_from_slice(&b[range]);
        victim.place_log(&mixed);
        // The first frame behind the common ones continues them: that is what the copy's log was, cut.
        let expected = match at {
            0 => &b_states[0],
            _ => &a_states[at - 1],
        };
        let case = format!("frame {at} of the other branch");
        assert_eq!(victim.attempt(expected, &case), Outcome::Whole);
    }
}
