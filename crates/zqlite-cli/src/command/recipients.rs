//! `zqlite recipients`

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use zqlite::pq::header::{NewSlot, SlotKey};
use zqlite::{OwnerOptions, SlotInfo, Who};

use crate::args::{AddRecipient, Keys, Recipients};
use crate::exit::Fault;
use crate::new_keys::{self, Named};
use crate::output::{self, Remarks, printable, printable_json};
use crate::{keys, open};

pub(super) fn run(args: Recipients, remarks: Remarks) -> Result<()> {
    match args {
        Recipients::List { sealed, json, keys } => list(&sealed, json, &keys, remarks),
        Recipients::Add(args) => add(&args, remarks),
        Recipients::Remove {
            sealed,
            who,
            json,
            sign_with,
            keys,
        } => remove(&sealed, &who, json, sign_with.as_deref(), &keys, remarks),
    }
}

fn list(sealed: &Path, json: bool, keys: &Keys, remarks: Remarks) -> Result<()> {
    let credentials = open::credentials(keys, remarks)?;
    let slots = zqlite::recipients(sealed, credentials.keyring, credentials.signed_by)?;
    if json {
        return print_json(&json!({ "slots": slots.iter().map(object).collect::<Vec<_>>() }));
    }
    let mut out = output::stdout();
    for slot in &slots {
        writeln!(out, "{}", printable(&line(slot)))?;
    }
    Ok(out.flush()?)
}

fn add(args: &AddRecipient, remarks: Remarks) -> Result<()> {
    let new = new_slots(args, remarks)?;
    if new.len() > 1 && args.label.is_some() {
        bail!(Fault::usage("--label is for one key: add them one by one"));
    }
    let mut slots = Vec::new();
    let mut added = Vec::new();
    for key in new {
        let label = args.label.clone().unwrap_or_default();
        // One at a time: what was added stays if the next one cannot be.
        let options = owner_options(
            &args.keys,
            args.sign_with.as_deref(),
            remarks,
            added.is_empty(),
        )?;
        slots = zqlite::add_recipient(&args.sealed, options, NewSlot { key, label })?;
        added.extend(slots.last().cloned());
    }
    if args.json {
        let object = json!({
            "added": added.iter().map(object).collect::<Vec<_>>(),
            "slots": slots.len(),
        });
        return print_json(&object);
    }
    let mut out = output::stdout();
    if remarks == Remarks::Shown {
        for slot in &added {
            writeln!(out, "added   {}", printable(&line(slot)))?;
        }
    }
    Ok(out.flush()?)
}

fn remove(
    sealed: &Path,
    who: &[String],
    json: bool,
    sign_with: Option<&Path>,
    keys: &Keys,
    remarks: Remarks,
) -> Result<()> {
    let who = whom(who)?;
    let options = owner_options(keys, sign_with, remarks, true)?;
    let removed = zqlite::remove_recipients(sealed, options, &who)?;
    if json {
        let object = json!({
            "removed": removed.iter().map(object).collect::<Vec<_>>(),
            "still_reads_until_rekey": true,
        });
        return print_json(&object);
    }
    let mut out = output::stdout();
    if remarks == Remarks::Shown {
        for slot in &removed {
            writeln!(out, "removed {}", printable(&line(slot)))?;
        }
    }
    out.flush()?;
    remarks.warn(
        "whoever was removed still knows the file's key, and can read until it is replaced: zqlite rekey",
    );
    Ok(())
}

/// What `#N`, recipients and labels mean.
pub(super) fn whom(texts: &[String]) -> Result<Vec<Who>> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|error| Fault::usage(format!("{text:.16}…: {error}")).into())
    };
    texts.iter().map(parse).collect()
}

fn owner_options(
    keys: &Keys,
    sign_with: Option<&Path>,
    remarks: Remarks,
    warns: bool,
) -> Result<OwnerOptions> {
    let credentials = open::credentials(keys, if warns { remarks } else { Remarks::Hidden })?;
    let mut options = OwnerOptions::new(credentials.keyring);
    options.signed_by = credentials.signed_by;
    options.signing_key = sign_with
        .map(|path| keys::signing_key(path, remarks))
        .transpose()?;
    Ok(options)
}

fn new_slots(args: &AddRecipient, remarks: Remarks) -> Result<Vec<SlotKey>> {
    let named = Named {
        recipients: &args.recipient,
        recipients_files: &args.recipients_file,
        passphrase_files: &args.new_passphrase_file,
        raw_key_files: &args.new_raw_key_file,
    };
    let mut new = named.keys(remarks)?;
    if args.new_passphrase {
        new.push(new_keys::asked_for()?);
    }
    if new.is_empty() {
        bail!(Fault::usage("nobody is named who is to open the file").hint(
            "name at least one with -r, -R, --new-passphrase-file, --new-passphrase or --new-raw-key-file"
        ));
    }
    Ok(new)
}

/// Number, kind, label, and the public key of a recipient; that of a passphrase or raw key is of no use to anyone.
fn line(slot: &SlotInfo) -> String {
    let label = slot.label.as_deref().unwrap_or("(altered)");
    let key = match &slot.recipient {
        Some(recipient) if slot.kind.name() == "recipient" => {
            let text = recipient.to_string();
            let end = text.len().saturating_sub(12);
            format!("{:.24}…{}", text, text.get(end..).unwrap_or_default())
        }
        Some(_) => String::new(),
        None => "(altered)".to_owned(),
    };
    let opened = if slot.opened { "yours" } else { "" };
    let line = format!(
        "#{:<3} {:<11} {label:<24} {opened:<6} {key}",
        slot.number,
        slot.kind.name()
    );
    line.trim_end().to_owned()
}

pub(super) fn object(slot: &SlotInfo) -> Value {
    json!({
        "number": slot.number,
        "kind": slot.kind.name(),
        "label": slot.label,
        "recipient": slot.recipient.as_ref().map(ToString::to_string),
        "opened": slot.opened,
    })
}

pub(super) fn print_json(object: &Value) -> Result<()> {
    let mut out = output::stdout();
    writeln!(out, "{}", printable_json(&object.to_string()))?;
    Ok(out.flush()?)
}
