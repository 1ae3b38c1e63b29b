//! `zqlite inspect`

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use zqlite::FileInspection;
use zqlite::pq::header::{DecodeError, Header, SUITE, SignatureState, VERSION};
use zqlite::pq::slot::{Slot, SlotKind};

use crate::args::Inspect;
use crate::exit::{Fault, Status};
use crate::output::{self, hex, printable, printable_json};

pub(super) fn run(args: &Inspect) -> Result<()> {
    let inspection = zqlite::inspect(&args.sealed)?;
    let problems = problems(&inspection);
    let verdict = verdict(&args.sealed, &problems);
    let mut out = output::stdout();
    let printed = if args.json {
        let object = as_json(&inspection, &problems).to_string();
        writeln!(out, "{}", printable_json(&object))
    } else {
        print(&mut out, &args.sealed, &inspection, &problems)
    };
    let printed = printed.and_then(|()| out.flush());
    // Whether anyone reads the report changes nothing about the file.
    verdict?;
    Ok(printed?)
}

fn verdict(sealed: &Path, problems: &[String]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    bail!(
        Fault::new(format!(
            "{}: altered or damaged: {}",
            sealed.display(),
            problems.join("; ")
        ))
        .with_status(Status::Damaged)
        .hint("`zqlite verify` checks the pages as well")
    );
}

/// What is wrong with the header. Copies of different stamps are none: an update was interrupted, and
/// the next writer repairs it.
fn problems(inspection: &FileInspection) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, copy) in copies(inspection) {
        if let Err(error) = copy {
            problems.push(format!("header copy {name}: {error}"));
        }
    }
    if let [Ok(a), Ok(b)] = &inspection.header.copies
        && !inspection.header.identical
        && a.stamp() == b.stamp()
    {
        problems.push("the header copies claim the same revision and differ".to_owned());
    }
    let is_populated = inspection.header.header().is_some_and(Header::populated);
    if is_populated && inspection.database_len == 0 {
        problems.push("the file ends with its header, and its pages are missing".to_owned());
    }
    if inspection.header.signature == SignatureState::Invalid {
        problems
            .push("the signature does not verify under the key that the header names".to_owned());
    }
    problems
}

fn copies(
    inspection: &FileInspection,
) -> impl Iterator<Item = (char, &Result<Header, DecodeError>)> {
    ['A', 'B'].into_iter().zip(&inspection.header.copies)
}

/// `identical`, `differ` or which copy is damaged.
fn copies_state(inspection: &FileInspection) -> String {
    let damaged: Vec<_> = copies(inspection)
        .filter(|(_, copy)| copy.is_err())
        .map(|(name, _)| name)
        .collect();
    match damaged.as_slice() {
        [] if inspection.header.identical => "identical".to_owned(),
        [] => "differ".to_owned(),
        [name] => format!("copy {name} damaged"),
        _ => "both damaged".to_owned(),
    }
}

const fn signature_state(inspection: &FileInspection) -> &'static str {
    match inspection.header.signature {
        SignatureState::Valid => "valid",
        SignatureState::Missing => "missing",
        _ => "invalid",
    }
}

fn print(
    out: &mut impl Write,
    path: &Path,
    inspection: &FileInspection,
    problems: &[String],
) -> std::io::Result<()> {
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(out, "{name:<15}{}", printable(&value.to_string()))
    };
    line("file", &path.display())?;
    line(
        "length",
        &format!(
            "{} bytes, {} of them pages",
            inspection.file_len, inspection.database_len
        ),
    )?;
    if let Some(header) = inspection.header.header() {
        line("format", &format!("version {VERSION}, suite {SUITE}"))?;
        line("file id", header.file_id())?;
        line("page size", &header.page_size().get())?;
        line("pages", &page_count(inspection, header))?;
        line("generation", &header.generation())?;
        line("revision", &header.revision())?;
        line(
            "epoch",
            &format!("{}, minimum {}", header.epoch(), header.min_epoch()),
        )?;
        if header.rekey_next_page() != 0 {
            line(
                "rekey",
                &format!("unfinished, next page {}", header.rekey_next_page()),
            )?;
        }
        line("populated", &if header.populated() { "yes" } else { "no" })?;
        for (index, slot) in header.slots().iter().enumerate() {
            line(&format!("slot #{}", index + 1), &describe_slot(slot))?;
        }
        match (header.signer(), inspection.header.signature) {
            (None, _) => line("signed", &"no: nothing says who made this file")?,
            (Some(key), SignatureState::Valid) => {
                line("signed by", key)?;
                line(
                    "signature",
                    &"verifies under that key; whose key it is, nothing here says",
                )?;
            }
            (Some(key), _) => {
                line("signed by", key)?;
                line("signature", &"does NOT verify under that key")?;
            }
        }
    }
    line("header copies", &copies_state(inspection))?;
    line(
        "WAL",
        &if inspection.has_wal {
            "beside the file"
        } else {
            "none"
        },
    )?;
    line(
        "journal",
        &if inspection.has_journal {
            "beside the file"
        } else {
            "none"
        },
    )?;
    for problem in problems {
        line("DAMAGED", problem)?;
    }
    line(
        "note",
        &"read without a key: nothing of this is authenticated",
    )
}

fn describe_slot(slot: &Slot) -> String {
    let mut text = format!("{}, hint {}", slot.kind().name(), hex(&slot.hint()));
    if let SlotKind::Passphrase { params, .. } = slot.kind() {
        let memory_mib = params.memory_kib / 1_024;
        text.push_str(&format!(
            ", Argon2id {memory_mib} MiB, {} passes, {} lanes",
            params.passes, params.lanes
        ));
    }
    text
}

fn page_count(inspection: &FileInspection, header: &Header) -> u64 {
    inspection.database_len / u64::from(header.page_size().get())
}

fn as_json(inspection: &FileInspection, problems: &[String]) -> Value {
    let mut object = json!({
        "file_len": inspection.file_len,
        "database_len": inspection.database_len,
        "copies": copies_state(inspection),
        "signature": signature_state(inspection),
        "wal": inspection.has_wal,
        "journal": inspection.has_journal,
        "problems": problems,
    });
    if let (Some(header), Value::Object(object)) = (inspection.header.header(), &mut object) {
        let fields = json!({
            "format_version": VERSION,
            "suite": SUITE,
            "file_id": header.file_id().to_string(),
            "page_size": header.page_size().get(),
            "page_count": page_count(inspection, header),
            "generation": header.generation(),
            "revision": header.revision(),
            "epoch": header.epoch(),
            "min_epoch": header.min_epoch(),
            "rekey_next_page": header.rekey_next_page(),
            "populated": header.populated(),
            "slots": header.slots().iter().enumerate().map(slot_json).collect::<Vec<_>>(),
            "signer": header.signer().map(ToString::to_string),
        });
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
    }
    object
}

fn slot_json((index, slot): (usize, &Slot)) -> Value {
    let argon2 = match slot.kind() {
        SlotKind::Passphrase { params, .. } => json!({
            "memory_kib": params.memory_kib,
            "passes": params.passes,
            "lanes": params.lanes,
        }),
        _ => Value::Null,
    };
    json!({
        "index": index,
        "kind": slot.kind().name(),
        "hint": hex(&slot.hint()),
        "argon2id": argon2,
    })
}
