//! `zqlite salvage`

use std::io::Write;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use zqlite::salvage::{Lost, SalvageOptions, SalvageReport, SalvagedTable};

use crate::args::Salvage;
use crate::exit::{Fault, Status};
use crate::output::{self, Remarks, printable, printable_json};
use crate::progress::Progress;
use crate::{keys, new_keys, open};

/// Pages and ranges of rowids that are named on one line, unless it is for a program.
const NAMED_MAX: usize = 20;

pub(super) fn run(args: Salvage, remarks: Remarks) -> Result<()> {
    let slots = new_keys::slots(&args.new, remarks)?;
    let signing_key = args
        .sign_with
        .as_deref()
        .map(|path| keys::signing_key(path, remarks))
        .transpose()?;
    let credentials = open::credentials(&args.keys, remarks)?;
    let mut options = SalvageOptions::new(credentials.keyring);
    options.signed_by = credentials.signed_by;
    options.slots = slots;
    options.signing_key = signing_key;
    options.ignore_wal = args.ignore_wal;
    options.force = args.force;
    let progress = Progress::start("salvaging", remarks)?;
    let outcome = zqlite::salvage(&args.damaged, &args.out, options, &mut progress.callback());
    drop(progress);
    let report = outcome?;
    if report.slots_left_out > 0 {
        remarks.warn(&format!(
            "{} slots for passphrases or raw keys are not in the new file: they are bound to the old one; \
             --new-passphrase-file and --new-raw-key-file make new ones",
            report.slots_left_out
        ));
    }
    let mut out = output::stdout();
    let printed = if args.json {
        let object = as_json(&report).to_string();
        writeln!(out, "{}", printable_json(&object))
    } else {
        print(&mut out, &report)
    };
    let printed = printed.and_then(|()| out.flush());
    if !report.is_complete() {
        bail!(
            Fault::new(format!("{}: not all was saved", args.damaged.display()))
                .with_status(Status::Damaged)
                .hint("what is missing may be in a backup; virtual tables may have to be rebuilt")
        );
    }
    Ok(printed?)
}

fn print(out: &mut impl Write, report: &SalvageReport) -> std::io::Result<()> {
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(out, "{name:<12}{}", printable(&value.to_string()))
    };
    line("file id", &report.file_id)?;
    line("new file id", &report.new_file_id)?;
    line("pages", &report.pages)?;
    match report.bad_pages.len() {
        0 => line("bad pages", &"none")?,
        count => line(
            "bad pages",
            &format_args!("{count}: {}", some(&report.bad_pages, u64::to_string)),
        )?,
    }
    for table in &report.tables {
        line("table", &describe(table))?;
    }
    for problem in &report.problems {
        line("LOST", problem)?;
    }
    let verdict = if report.is_complete() {
        "all was saved"
    } else {
        "not all was saved"
    };
    line("verdict", &verdict)
}

fn describe(table: &SalvagedTable) -> String {
    let mut text = format!("{}: {} rows", table.name, table.rows);
    if !table.lost_pages.is_empty() {
        text.push_str(&format!(
            "; LOST pages {}",
            some(&table.lost_pages, u32::to_string)
        ));
    }
    if !table.lost.is_empty() {
        text.push_str(&format!("; LOST {}", some(&table.lost, range)));
    }
    if table.refused > 0 {
        text.push_str(&format!(
            "; LOST {} rows that break a constraint",
            table.refused
        ));
    }
    text
}

fn range(lost: &Lost) -> String {
    match lost {
        Lost::Rowids { first, last } if first == last => format!("rowid {first}"),
        Lost::Rowids { first, last } => format!("rowids {first} to {last}"),
        Lost::After { rows } => format!("rows after the {rows} first that were saved"),
        _ => "rows".to_owned(),
    }
}

fn some<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    let named: Vec<_> = items.iter().take(NAMED_MAX).map(text).collect();
    match items.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn as_json(report: &SalvageReport) -> Value {
    json!({
        "complete": report.is_complete(),
        "file_id": report.file_id.to_string(),
        "new_file_id": report.new_file_id.to_string(),
        "pages": report.pages,
        "bad_pages": report.bad_pages,
        "tables": report.tables.iter().map(|table| json!({
            "name": table.name,
            "rows": table.rows,
            "complete": table.is_complete(),
            "lost_pages": table.lost_pages,
            "lost": table.lost.iter().map(lost_json).collect::<Vec<_>>(),
            "lost_more": table.lost_more,
            "refused": table.refused,
        })).collect::<Vec<_>>(),
        "problems": report.problems,
        "slots_left_out": report.slots_left_out,
    })
}

fn lost_json(lost: &Lost) -> Value {
    match lost {
        Lost::Rowids { first, last } => json!({ "first_rowid": first, "last_rowid": last }),
        Lost::After { rows } => json!({ "after_rows": rows }),
        _ => Value::Null,
    }
}
