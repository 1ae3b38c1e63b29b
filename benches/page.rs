//! Sealing and opening a page, over raw AES-256-GCM of the same backend on as many bytes: `cargo bench --bench page`.
//!
//! The derived key is at hand, as it is for all but the first page of a batch. Both sides run in turn, many short
//! rounds each, so that whatever else the machine does hits both; the median counts.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]

use std::hint::black_box;
use std::time::Instant;

use zqlite_pq::EpochKey;
use zqlite_pq::aead;
use zqlite_pq::epoch::{EpochKeys, FileId};
use zqlite_pq::page::{PageContext, PageOpener, PageSealer, Place, SEALS_PER_BATCH, TRAILER_LEN};

const ROUNDS: usize = 2_001;
const PAGES_PER_ROUND: u32 = 32;
const AT_MOST: f64 = 1.10;

fn main() {
    println!("{:<28}{:>12}{:>12}{:>8}", "", "raw GCM", "page", "ratio");
    for len in [4_096, 16_384, 65_536] {
        let sealing = measure(raw_seal(len), page_seal(len));
        report("seal", len, sealing);
        let opening = measure(raw_open(len), page_open(len));
        report("open", len, opening);
    }
    println!("at most {AT_MOST:.2}");
}

fn report(what: &str, len: usize, (raw, page): (f64, f64)) {
    let per_page = |seconds: f64| format!("{:.0} ns", seconds * 1e9 / f64::from(PAGES_PER_ROUND));
    println!(
        "{:<28}{:>12}{:>12}{:>8.3}",
        format!("{what} {len} bytes"),
        per_page(raw),
        per_page(page),
        page / raw
    );
}

/// Medians of both, which run in turn.
fn measure(mut raw: impl FnMut(), mut page: impl FnMut()) -> (f64, f64) {
    let mut times = [Vec::new(), Vec::new()];
    let mut works: [&mut dyn FnMut(); 2] = [&mut raw, &mut page];
    for _ in 0..ROUNDS {
        for (times, work) in times.iter_mut().zip(&mut works) {
            let started = Instant::now();
            work();
            times.push(started.elapsed().as_secs_f64());
        }
    }
    let [raw, page] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.get(ROUNDS / 2).copied().unwrap_or_default()
    });
    (raw, page)
}

fn keys() -> EpochKeys {
    EpochKeys::derive(
        &FileId::from_bytes([1; 16]),
        EpochKey::from_bytes([2; 32]),
        1,
    )
}

const CONTEXT: PageContext = PageContext {
    file_id: FileId::from_bytes([1; 16]),
    number: 7,
    place: Place::Database,
};

fn raw_seal(len: usize) -> impl FnMut() {
    let key = aead::Key::new(&[3; 32]);
    // As many bytes are allocated as for a page: both buffers lie alike in memory.
    let mut page = vec![5; len];
    move || {
        for i in 0..PAGES_PER_ROUND {
            let mut nonce = [0; 12];
            nonce[..4].copy_from_slice(&i.to_be_bytes());
            let page = black_box(&mut page);
            black_box(key.seal_in_place(&nonce, &[], &mut page[..len - TRAILER_LEN]));
        }
    }
}

fn page_seal(len: usize) -> impl FnMut() {
    let keys = keys();
    let mut page = vec![5; len];
    let mut sealer = PageSealer::new(&keys, &[4; 24]);
    let mut sealed = 0;
    move || {
        if sealed + PAGES_PER_ROUND > SEALS_PER_BATCH {
            sealer = PageSealer::new(&keys, &[4; 24]);
            sealed = 0;
        }
        for _ in 0..PAGES_PER_ROUND {
            if let Some((_, trailer)) = page.split_last_chunk_mut::<TRAILER_LEN>() {
                *trailer = [0; TRAILER_LEN];
            }
            assert_eq!(sealer.seal(&CONTEXT, black_box(&mut page)), Ok(()));
        }
        sealed += PAGES_PER_ROUND;
    }
}

fn raw_open(len: usize) -> impl FnMut() {
    let key = aead::Key::new(&[3; 32]);
    let mut stored = vec![5; len];
    let body = len - TRAILER_LEN;
    let tag = key.seal_in_place(&[9; 12], &[], &mut stored[..body]);
    let mut page = vec![0; len];
    move || {
        for _ in 0..PAGES_PER_ROUND {
            let (stored, page) = (black_box(&stored), black_box(&mut page));
            let opened = key.open_to(&[9; 12], &[], &stored[..body], &tag, &mut page[..body]);
            assert_eq!(opened, Ok(()));
        }
    }
}

fn page_open(len: usize) -> impl FnMut() {
    let keys = keys();
    let mut stored = vec![5; len];
    if let Some((_, trailer)) = stored.split_last_chunk_mut::<TRAILER_LEN>() {
        *trailer = [0; TRAILER_LEN];
    }
    let sealed = PageSealer::new(&keys, &[4; 24]).seal(&CONTEXT, &mut stored);
    assert_eq!(sealed, Ok(()));
    let mut opener = PageOpener::new();
    let mut page = vec![0; len];
    move || {
        for _ in 0..PAGES_PER_ROUND {
            let opened = opener.open_to(&keys, &CONTEXT, black_box(&stored), black_box(&mut page));
            assert_eq!(opened, Ok(()));
        }
    }
}
