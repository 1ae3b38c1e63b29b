//! What can be verified of a sealed file with a key: every page, the WAL, and SQLite's structures.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use zqlite_pq::VerifyingKey;
use zqlite_pq::epoch::FileId;
use zqlite_pq::header::{CopyState, Expected, Keyring, Opened};

use crate::builder::{check_path, open_sealed};
use crate::error::is_damage;
use crate::vfs::{self, Access, with_sealed};
use crate::{Anchor, Error, Progress};

/// Pages that are checked between two reports of progress.
pub(crate) const PAGES_PER_STEP: u64 = 1_024;
/// Problems of one kind that are named one by one.
const NAMED_MAX: usize = 20;

/// How [`verify`] checks.
#[derive(Debug)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Keys that may open the file.
    pub keyring: Keyring,
    /// The expected maker; `None` accepts any.
    pub signed_by: Option<Expected>,
    /// The lowest acceptable generation of the header.
    pub min_generation: Option<u64>,
    /// What remembers the newest header that was seen.
    pub anchor: Option<Arc<dyn Anchor>>,
}

impl VerifyOptions {
    /// Options with these keys, any maker, any generation.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            signed_by: None,
            min_generation: None,
            anchor: None,
        }
    }
}

/// What [`verify`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The file's id.
    pub file_id: FileId,
    /// Generation of the header.
    pub generation: u64,
    /// Revision of the header.
    pub revision: u64,
    /// The signer's verifying key, if the file is signed; its signature was checked.
    pub signer: Option<VerifyingKey>,
    /// Pages in the file.
    pub pages: u64,
    /// Frames in the WAL that open.
    pub wal_frames: u64,
    /// Everything that is wrong, one sentence each; empty if all is well.
    pub problems: Vec<String>,
}

/// Opens every page, checks both header copies, the hole, the WAL and SQLite's structures.
///
/// Writes nothing, except that it lets SQLite roll back a hot journal, as everyone does who opens the file.
/// `progress` tells whether to go on.
///
/// # Errors
/// See [`Error`]: the file cannot be opened at all, or is not by the expected maker. Damage below that is
/// in the report.
pub fn verify(
    path: &Path,
    options: VerifyOptions,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<VerifyReport, Error> {
    let connection =
        open_reading_anchored(path, options.keyring, options.signed_by, options.anchor)?;
    verify_open(&connection, path, options.min_generation, progress)
}

/// What is wrong with a file that this process has open with this access.
pub(crate) fn problems(path: &Path, access: Arc<Access>) -> Result<Vec<String>, Error> {
    let connection = open_reading_as(path, access)?;
    verify_open(&connection, path, None, &mut |_| true).map(|report| report.problems)
}

fn verify_open(
    connection: &Connection,
    path: &Path,
    min_generation: Option<u64>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<VerifyReport, Error> {
    let mut report = header_report(connection, path)?;
    if let Some(minimum) = min_generation
        && report.generation < minimum
    {
        let found = report.generation;
        return Err(Error::GenerationTooOld {
            path: path.to_owned(),
            found,
            minimum,
        });
    }
    // A read transaction keeps writers of rollback modes out and opens the WAL.
    let begun = connection
        .execute_batch("BEGIN")
        .and_then(|()| connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(())));
    if let Err(error) = begun {
        let error = vfs::take_last_error().unwrap_or(Error::Sqlite(error));
        if error.verdict() != crate::Verdict::Damaged {
            return Err(error);
        }
        report
            .problems
            .push(format!("the database cannot be read: {error}"));
    }
    check_pages(connection, path, &mut report, progress)?;
    check_wal(connection, path, &mut report)?;
    check_structures(connection, path, &mut report)?;
    Ok(report)
}

/// Opens a sealed file for reading; for writing if a hot journal must be rolled back first.
pub(crate) fn open_reading(
    path: &Path,
    keyring: Keyring,
    signed_by: Option<Expected>,
) -> Result<Connection, Error> {
    open_reading_anchored(path, keyring, signed_by, None)
}

/// The same, if the header is not older than the last one that the anchor has seen.
pub(crate) fn open_reading_anchored(
    path: &Path,
    keyring: Keyring,
    signed_by: Option<Expected>,
    anchor: Option<Arc<dyn Anchor>>,
) -> Result<Connection, Error> {
    let access = match signed_by {
        Some(expected) => Access::new(keyring).signed_by(expected),
        None => Access::new(keyring).accept_any_maker(),
    };
    let access = match anchor {
        Some(anchor) => access.anchor(anchor),
        None => access,
    };
    open_reading_as(path, Arc::new(access))
}

fn open_reading_as(path: &Path, access: Arc<Access>) -> Result<Connection, Error> {
    vfs::register()?;
    check_path(path, false)?;
    let hot = std::fs::metadata(crate::inspect::beside(path, "-journal"))
        .is_ok_and(|metadata| metadata.len() > 0);
    let flags = if hot {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    } else {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    };
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    open_sealed(path, flags, access)
}

fn header_report(connection: &Connection, path: &Path) -> Result<VerifyReport, Error> {
    with_sealed(connection, |sealed, _| {
        let opened = sealed.opened().ok_or(vfs::Code::NOTFOUND)?;
        Ok(VerifyReport {
            file_id: *opened.header.file_id(),
            generation: opened.header.generation(),
            revision: opened.header.revision(),
            signer: opened.header.signer().cloned(),
            pages: 0,
            wal_frames: 0,
            problems: copy_problems(opened),
        })
    })
    .map_err(|code| code.at(path))
}

fn copy_problems(opened: &Opened) -> Vec<String> {
    opened
        .copies
        .iter()
        .zip(["A", "B"])
        .filter_map(|(state, name)| {
            let what = match state {
                CopyState::Good => return None,
                CopyState::Older => "is older than the other: an update was interrupted".to_owned(),
                CopyState::Altered => "was altered".to_owned(),
                CopyState::Damaged(error) => format!("is damaged: {error}"),
                CopyState::Foreign(_) => "is for other keys and cannot be judged".to_owned(),
                CopyState::Refused(error) => format!("is refused: {error}"),
                _ => "differs from the other".to_owned(),
            };
            Some(format!("header copy {name} {what}"))
        })
        .collect()
}

fn check_pages(
    connection: &Connection,
    path: &Path,
    report: &mut VerifyReport,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(), Error> {
    let (pages, page_len, odd) = match with_sealed(connection, |sealed, _| sealed.pages()) {
        Ok(layout) => layout,
        Err(vfs::Code::CORRUPT) => {
            report
                .problems
                .push("the file was cut down to its header".to_owned());
            return Ok(());
        }
        Err(code) => return Err(code.at(path)),
    };
    report.pages = pages;
    if odd > 0 {
        report
            .problems
            .push(format!("the file ends {odd} bytes into a page"));
    }
    let mut bad = Vec::new();
    let mut next = 0;
    while next < pages {
        let end = (next + PAGES_PER_STEP).min(pages);
        let found = with_sealed(connection, |sealed, _| sealed.bad_pages(next, end));
        bad.extend(found.map_err(|code| code.at(path))?);
        next = end;
        if !progress(Progress {
            done: next * page_len,
            total: pages * page_len,
        }) {
            return Err(Error::Interrupted);
        }
    }
    name_all(&mut report.problems, &bad, |number| {
        format!("page {number} does not open")
    });
    match with_sealed(connection, |sealed, _| sealed.hole_is_zero()) {
        Ok(true) => {}
        Ok(false) => report
            .problems
            .push("the hole at 1 GiB is not zero".to_owned()),
        Err(code) => return Err(code.at(path)),
    }
    Ok(())
}

fn check_wal(connection: &Connection, path: &Path, report: &mut VerifyReport) -> Result<(), Error> {
    let found = with_sealed(connection, |sealed, wal| {
        wal.map(|wal| wal.verify(sealed)).transpose()
    });
    if let Some(found) = found.map_err(|code| code.at(path))? {
        report.wal_frames = found.good;
        name_all(&mut report.problems, &found.damaged, |index| {
            format!(
                "WAL frame {} does not open, but one after it does",
                index + 1
            )
        });
        if found.lost > 0 {
            let frames = found.lost;
            report.problems.push(format!(
                "the header of the WAL does not open: none of its {frames} frames counts"
            ));
        }
    }
    Ok(())
}

/// SQLite's own check, where the pages can be read at all.
fn check_structures(
    connection: &Connection,
    path: &Path,
    report: &mut VerifyReport,
) -> Result<(), Error> {
    let lines = connection
        .prepare("PRAGMA integrity_check")
        .and_then(|mut statement| {
            statement
                .query_map([], |row| row.get::<_, String>(0))?
                .collect::<Result<Vec<_>, _>>()
        });
    match lines {
        Ok(lines) if lines == ["ok"] => {}
        Ok(lines) => {
            if let Some(code) = lines.iter().find_map(|line| refused_by_the_disk(line)) {
                return Err(code.at(path));
            }
            name_all(&mut report.problems, &lines, |line| {
                format!("integrity check: {line}")
            });
        }
        Err(error) => {
            let error = Error::Sqlite(error);
            if error.verdict() != crate::Verdict::Damaged {
                return Err(error);
            }
            report.problems.push(format!("integrity check: {error}"));
        }
    }
    Ok(())
}

/// The check goes on where a page cannot be read, and writes the code into its report: what the disk refuses says
/// nothing about the file.
fn refused_by_the_disk(report: &str) -> Option<vfs::Code> {
    report.lines().find_map(|line| {
        let (_, code) = line.rsplit_once("unable to get the page. error code=")?;
        let code = code.trim().parse().ok()?;
        (!is_damage(code)).then_some(vfs::Code(code))
    })
}

/// Adds a sentence for each, up to a limit, and one for the rest.
fn name_all<T>(problems: &mut Vec<String>, items: &[T], sentence: impl Fn(&T) -> String) {
    problems.extend(items.iter().take(NAMED_MAX).map(&sentence));
    if items.len() > NAMED_MAX {
        problems.push(format!(
            "… and {} more like the last",
            items.len() - NAMED_MAX
        ));
    }
}
