//! Runs known-answer files against this crate: `kat_runner FILE…`.
//!
//! A file is JSON lines, plain or xz-compressed; its kind is its name up to the first dot. The kinds
//! and their fields are those of `kat-vectors/README.md`. The ids of cases that differ are printed, and
//! last `N passed, M failed`; a file that cannot be read, an unknown kind, a malformed line or a file
//! without cases counts as a failure. The exit status is 0 only when nothing failed.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) mod cases;

use cases::{Case, Kind, SecondImplementation, Stop};

fn main() -> ExitCode {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match run(&files, &mut std::io::stdout().lock()) {
        Ok(total) if total.failed == 0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn run(files: &[PathBuf], out: &mut impl Write) -> std::io::Result<Report> {
    let mut total = Report::default();
    if files.is_empty() {
        writeln!(
            out,
            "usage: kat_runner FILE…   (.jsonl or .jsonl.xz, named KIND.…)"
        )?;
        total.failed += 1;
    }
    for file in files {
        let report = run_file(file);
        for failure in &report.failures {
            writeln!(out, "{failure}")?;
        }
        let name = file.display();
        writeln!(
            out,
            "{name}: {} passed, {} failed",
            report.passed, report.failed
        )?;
        total.add(&report);
    }
    if total.second.count() > 0 {
        writeln!(out, "{}", total.second)?;
    }
    writeln!(out, "{} passed, {} failed", total.passed, total.failed)?;
    Ok(total)
}

/// What became of a file's cases.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) failures: Vec<String>,
    pub(crate) second: SecondImplementation,
}

impl Report {
    fn fail(&mut self, why: String) {
        self.failed += 1;
        self.failures.push(why);
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.second.add(&other.second);
    }
}

/// Runs every case of a file; what is wrong with the file itself is a failure too.
pub(crate) fn run_file(path: &Path) -> Report {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut report = Report::default();
    let kind = match Kind::of_file(&name) {
        Ok(kind) => kind,
        Err(why) => {
            report.fail(format!("{}: {why}", path.display()));
            return report;
        }
    };
    match read(path) {
        Ok(text) => run_text(kind, &name, &text, &mut report),
        Err(error) => report.fail(format!("{}: {error}", path.display())),
    }
    report
}

fn read(path: &Path) -> std::io::Result<String> {
    const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";
    let raw = std::fs::read(path)?;
    if !raw.starts_with(XZ_MAGIC) {
        return String::from_utf8(raw).map_err(std::io::Error::other);
    }
    let mut text = String::new();
    liblzma::read::XzDecoder::new_multi_decoder(raw.as_slice()).read_to_string(&mut text)?;
    Ok(text)
}

/// Runs every case of a file's text.
pub(crate) fn run_text(kind: Kind, file: &str, text: &str, report: &mut Report) {
    let mut ran = 0;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        ran += 1;
        let at_line = format!("{file}:{number}");
        match Case::parse(line) {
            Ok(case) => match judge(kind, &case, &mut report.second) {
                Ok(()) => report.passed += 1,
                Err(why) => report.fail(format!("{at_line}: {}: {why}", case.id())),
            },
            Err(why) => report.fail(format!("{at_line}: malformed line: {why}")),
        }
    }
    if ran == 0 {
        report.fail(format!("{file}: no cases"));
    }
}

/// Runs a case and holds its outcome against the `result` field.
fn judge(kind: Kind, case: &Case, second: &mut SecondImplementation) -> Result<(), String> {
    let expected = case.expected(kind)?;
    let outcome = cases::run(kind, case, second);
    match (expected, outcome) {
        (_, Err(Stop::Malformed(why))) => Err(why),
        (cases::Expected::Valid | cases::Expected::Acceptable, Ok(answer)) => answer.verdict(),
        (cases::Expected::Invalid, Ok(_)) => Err("accepted, but must be refused".to_owned()),
        (cases::Expected::Valid, Err(Stop::Refused(why))) => Err(format!("refused: {why}")),
        (cases::Expected::Invalid | cases::Expected::Acceptable, Err(Stop::Refused(_))) => Ok(()),
    }
}
