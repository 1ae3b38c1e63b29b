//! What must fail: each attack works on a copy, and its outcome is checked.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, Result};
use zqlite::pq::header::{COPY_LEN, Expected, HEADER_LEN};
use zqlite::{Builder, Error, Verdict, VerifyOptions};

use super::Stage;
use super::cast::{self, Cast};
use super::story::{self, PEOPLE};

/// The page size of the generated database.
const PAGE_LEN: usize = 4_096;

pub(super) fn play(stage: &mut Stage, cast: &Cast) -> Result<()> {
    stage.chapter("Attacks that fail")?;
    let sealed = fs::read(stage.path("sealed.db"))?;
    wrong_identity(stage, cast)?;
    alter_pages(stage, cast, &sealed)?;
    alter_header(stage, cast, &sealed)?;
    exchange_file(stage, cast)
}

fn wrong_identity(stage: &mut Stage, cast: &Cast) -> Result<()> {
    let opened = Builder::new(stage.path("sealed.db"))
        .keyring(cast::keyring(&cast.mallory))
        .accept_any_maker()
        .read_only()
        .open()
        .and_then(|connection| story::read_all(&connection));
    expect(
        stage,
        "Mallory's identity opens nothing",
        &opened,
        Verdict::NoKey,
    )
}

fn alter_pages(stage: &mut Stage, cast: &Cast, sealed: &[u8]) -> Result<()> {
    let last = sealed.len() / PAGE_LEN - 1;
    let mut flipped = sealed.to_vec();
    if let Some(byte) = flipped.get_mut(page(last).start + 100) {
        *byte ^= 1;
    }
    attack(
        stage,
        cast,
        "attack-flip.db",
        &flipped,
        "one bit flipped in a page is noticed",
    )?;

    let mut swapped = sealed.to_vec();
    replace(&mut swapped, page(last), sealed.get(page(last - 1)));
    replace(&mut swapped, page(last - 1), sealed.get(page(last)));
    attack(
        stage,
        cast,
        "attack-swap.db",
        &swapped,
        "two pages that changed places are noticed",
    )?;

    let other = stage.path("other.db");
    story::seal(
        &stage.path("plain.db"),
        &other,
        cast,
        Some(cast::same(&cast.owner)),
    )?;
    let other = fs::read(other)?;
    let mut mixed = sealed.to_vec();
    replace(&mut mixed, page(last), other.get(page(last)));
    attack(
        stage,
        cast,
        "attack-mix.db",
        &mixed,
        "the same page from another of Alice's files is noticed",
    )?;

    let header = usize::try_from(HEADER_LEN)?;
    let truncated = sealed.get(..header).unwrap_or_default();
    attack(
        stage,
        cast,
        "attack-truncate.db",
        truncated,
        "a file cut down to its header is no empty database",
    )
}

fn alter_header(stage: &mut Stage, cast: &Cast, sealed: &[u8]) -> Result<()> {
    let mut destroyed = sealed.to_vec();
    replace(&mut destroyed, 0..COPY_LEN, Some(&[0; COPY_LEN]));
    let path = write(stage, "attack-header-copy.db", &destroyed)?;
    let count = story::count(&path, cast, Some(cast.owner_expected()));
    let found = format!("{count:?}");
    let opens = count.is_ok_and(|count| count == i64::from(PEOPLE));
    stage.expect(
        "with one header copy destroyed the file opens",
        opens,
        &found,
    )?;
    let mut options = VerifyOptions::new(cast::keyring(&cast.alice));
    options.signed_by = Some(cast.owner_expected());
    let report = zqlite::verify(&path, options, &mut |_| true)?;
    stage.expect(
        "… and verify reports it",
        !report.problems.is_empty(),
        "no problem",
    )
}

/// Whoever knows Alice's recipient can make a file that she can open.
fn exchange_file(stage: &mut Stage, cast: &Cast) -> Result<()> {
    let plain = stage.path("plain.db");
    let unsigned = stage.path("attack-unsigned.db");
    story::seal(&plain, &unsigned, cast, None)?;
    let opened = story::count(&unsigned, cast, None);
    let found = format!("{opened:?}");
    stage.expect(
        "a file that Mallory made for Alice opens if nobody asks who made it",
        opened.is_ok(),
        &found,
    )?;
    let opened = story::count(&unsigned, cast, Some(cast.owner_expected()));
    expect(
        stage,
        "… and is refused by --signed-by: not signed",
        &opened,
        Verdict::Signature,
    )?;

    let signed = stage.path("attack-signed.db");
    story::seal(&plain, &signed, cast, Some(cast::same(&cast.mallory_signs)))?;
    let opened = story::count(&signed, cast, Some(cast.owner_expected()));
    expect(
        stage,
        "… and so is one that she signed herself",
        &opened,
        Verdict::Signature,
    )?;

    let inspection = zqlite::inspect(&stage.path("sealed.db"))?;
    let file_id = inspection.header.header().map(|header| *header.file_id());
    let expected = Expected {
        file_id,
        ..cast.owner_expected()
    };
    let opened = story::count(&stage.path("other.db"), cast, Some(expected));
    expect(
        stage,
        "another file of the owner's is refused where --signed-by names the file id",
        &opened,
        Verdict::Signature,
    )
}

/// Writes an altered file, reads all of it as Alice, and expects that the damage is noticed.
fn attack(stage: &mut Stage, cast: &Cast, name: &str, bytes: &[u8], what: &str) -> Result<()> {
    let path = write(stage, name, bytes)?;
    let opened = story::count(&path, cast, Some(cast.owner_expected()));
    expect(stage, what, &opened, Verdict::Damaged)
}

fn expect(
    stage: &mut Stage,
    what: &str,
    outcome: &Result<i64, Error>,
    expected: Verdict,
) -> Result<()> {
    let (holds, found) = match outcome {
        Ok(count) => (false, format!("it opened, {count} rows")),
        Err(error) => (error.verdict() == expected, error.to_string()),
    };
    stage.expect(what, holds, &found)
}

fn write(stage: &Stage, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = stage.path(name);
    fs::write(&path, bytes).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Where the page with this index lies, counted from the beginning of the file.
const fn page(index: usize) -> Range<usize> {
    index * PAGE_LEN..(index + 1) * PAGE_LEN
}

fn replace(bytes: &mut [u8], range: Range<usize>, by: Option<&[u8]>) {
    if let (Some(target), Some(by)) = (bytes.get_mut(range), by) {
        target.copy_from_slice(by);
    }
}
