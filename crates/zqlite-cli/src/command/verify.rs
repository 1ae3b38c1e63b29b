//! `zqlite verify`

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::json;
use zqlite::{VerifyOptions, VerifyReport};

use crate::args::Verify;
use crate::exit::{Fault, Status};
use crate::open;
use crate::output::{self, Remarks, printable, printable_json};
use crate::progress::Progress;

pub(super) fn run(args: Verify, remarks: Remarks) -> Result<()> {
    if let Some(seal) = &args.seal {
        return super::seal::verify(&args, seal, remarks);
    }
    let credentials = open::credentials(&args.keys, remarks)?;
    let is_maker_checked = credentials.signed_by.is_some();
    let mut options = VerifyOptions::new(credentials.keyring);
    options.signed_by = credentials.signed_by;
    options.min_generation = args.min_generation;
    options.anchor = args.anchored.anchor();
    let progress = Progress::start("verifying", remarks)?;
    let outcome = zqlite::verify(&args.sealed, options, &mut progress.callback());
    drop(progress);
    let report = outcome?;
    let verdict = verdict(&args.sealed, &report);
    let mut out = output::stdout();
    let printed = if args.json {
        print_json(&mut out, &report, is_maker_checked)
    } else {
        print(&mut out, &report, is_maker_checked)
    };
    let printed = printed.and_then(|()| out.flush());
    // Whether anyone reads the report changes nothing about the file.
    verdict?;
    Ok(printed?)
}

fn verdict(sealed: &Path, report: &VerifyReport) -> Result<()> {
    if report.problems.is_empty() {
        return Ok(());
    }
    let count = report.problems.len();
    let (first, more) = match report.problems.split_first() {
        Some((first, [])) => (first.as_str(), String::new()),
        Some((first, _)) => (first.as_str(), format!(" (and {} more)", count - 1)),
        None => ("", String::new()),
    };
    bail!(
        Fault::new(format!("{}: altered or damaged: {first}{more}", sealed.display()))
            .with_status(Status::Damaged)
            .hint("a damaged header copy is repaired by the next write; restore anything else from a backup")
    );
}

fn print(
    out: &mut impl Write,
    report: &VerifyReport,
    is_maker_checked: bool,
) -> std::io::Result<()> {
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(out, "{name:<12}{}", printable(&value.to_string()))
    };
    line("file id", &report.file_id)?;
    line("generation", &report.generation)?;
    line("revision", &report.revision)?;
    line("pages", &report.pages)?;
    line("WAL frames", &report.wal_frames)?;
    match &report.signer {
        Some(_) if is_maker_checked => line("signer", &"as expected")?,
        Some(key) => {
            let key = key.to_string();
            line(
                "signer",
                &format_args!("{key:.40}… (whose key that is was not checked)"),
            )?;
        }
        None => line("signer", &"none: nothing says who made this file")?,
    }
    for problem in &report.problems {
        line("DAMAGED", problem)?;
    }
    let verdict = if report.problems.is_empty() {
        "all well"
    } else {
        "altered or damaged"
    };
    line("verdict", &verdict)
}

fn print_json(
    out: &mut impl Write,
    report: &VerifyReport,
    is_maker_checked: bool,
) -> std::io::Result<()> {
    let object = json!({
        "ok": report.problems.is_empty(),
        "file_id": report.file_id.to_string(),
        "generation": report.generation,
        "revision": report.revision,
        "pages": report.pages,
        "wal_frames": report.wal_frames,
        "signer": report.signer.as_ref().map(ToString::to_string),
        "maker_checked": is_maker_checked,
        "problems": report.problems,
    });
    writeln!(out, "{}", printable_json(&object.to_string()))
}
