//! `zqlite encrypt`

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use zqlite::pq::header::NewSlot;
use zqlite::{EncryptOptions, Encrypted};

use crate::args::Encrypt;
use crate::exit::Fault;
use crate::keys;
use crate::new_keys::{self, Named};
use crate::output::{self, Remarks, printable};
use crate::progress::Progress;

pub(super) fn run(args: Encrypt, remarks: Remarks) -> Result<()> {
    refuse_same_file(&args.plain, &args.sealed)?;
    let signing_key = args
        .sign_with
        .as_deref()
        .map(|path| keys::signing_key(path, remarks))
        .transpose()?;
    let is_signed = signing_key.is_some();
    let mut options = EncryptOptions::new(slots(&args, remarks)?);
    options.signing_key = signing_key;
    options.page_size = args.page_size;
    options.force = args.force;
    let progress = Progress::start("sealing", remarks)?;
    let outcome = zqlite::encrypt(&args.plain, &args.sealed, options, &mut progress.callback());
    drop(progress);
    let encrypted = outcome?;
    if remarks == Remarks::Shown {
        report(&args, &encrypted, is_signed)?;
    }
    Ok(())
}

fn report(args: &Encrypt, encrypted: &Encrypted, is_signed: bool) -> Result<()> {
    let Encrypted {
        plain_page_size,
        page_size,
        pages,
        file_id,
        ..
    } = *encrypted;
    let mut out = output::stdout();
    if encrypted.removed_leftovers > 0 {
        writeln!(
            out,
            "removed unfinished files of earlier runs: {}",
            encrypted.removed_leftovers
        )?;
    }
    if plain_page_size != page_size {
        writeln!(out, "page size {plain_page_size} becomes {page_size}")?;
    }
    let sealed = printable(&args.sealed.display().to_string());
    let signed = if is_signed { ", signed" } else { "" };
    writeln!(
        out,
        "sealed {sealed}: {pages} pages of {page_size} bytes{signed}"
    )?;
    writeln!(out, "file id: {file_id}")?;
    let key = if !args.recipient.is_empty() || !args.recipients_file.is_empty() {
        " -i IDENTITY-FILE"
    } else if !args.passphrase_file.is_empty() {
        " --passphrase-file FILE"
    } else if !args.raw_key_file.is_empty() {
        " --raw-key-file FILE"
    } else {
        " --passphrase"
    };
    let maker = if is_signed {
        format!(" --signed-by KEY@{file_id}")
    } else {
        String::new()
    };
    writeln!(out, "open it: zqlite shell {sealed}{key}{maker}")?;
    Ok(out.flush()?)
}

/// Everyone whom the file is sealed to.
fn slots(args: &Encrypt, remarks: Remarks) -> Result<Vec<NewSlot>> {
    let named = Named {
        recipients: &args.recipient,
        recipients_files: &args.recipients_file,
        passphrase_files: &args.passphrase_file,
        raw_key_files: &args.raw_key_file,
    };
    let mut keys = named.keys(remarks)?;
    if args.passphrase || (keys.is_empty() && keys::can_prompt()) {
        keys.push(new_keys::asked_for()?);
    }
    if keys.is_empty() {
        bail!(Fault::usage("nobody is named who could open the sealed file").hint(
            "name at least one with -r, --recipient, -R, --recipients-file, --passphrase-file or --raw-key-file"
        ));
    }
    Ok(new_keys::without_labels(keys))
}

fn refuse_same_file(plain: &Path, sealed: &Path) -> Result<()> {
    if let (Ok(plain), Ok(sealed)) = (plain.canonicalize(), sealed.canonicalize())
        && plain == sealed
    {
        bail!(Fault::usage(
            "the plain and the sealed file must be two different files"
        ));
    }
    Ok(())
}
