//! `zqlite rekey`

use std::io::Write;

use anyhow::Result;
use serde_json::json;
use zqlite::RekeyOptions;

use super::recipients::{object, print_json, whom};
use crate::args::Rekey;
use crate::output::{self, Remarks, printable};
use crate::progress::Progress;
use crate::{keys, open};

const MIB: u64 = 1 << 20;

pub(super) fn run(args: Rekey, remarks: Remarks) -> Result<()> {
    let credentials = open::credentials(&args.keys, remarks)?;
    let mut options = RekeyOptions::new(credentials.keyring);
    options.signed_by = credentials.signed_by;
    options.signing_key = args
        .sign_with
        .as_deref()
        .map(|path| keys::signing_key(path, remarks))
        .transpose()?;
    options.rate = (args.rate > 0).then(|| args.rate.saturating_mul(MIB));
    options.compromised = args.compromised.then(|| whom(&args.keep)).transpose()?;
    let progress = Progress::start("sealing anew", remarks)?;
    let mut show = progress.rekey_callback(remarks);
    let outcome = zqlite::rekey(&args.sealed, options, &mut show);
    drop(show);
    drop(progress);
    let done = outcome?;
    if args.json {
        return print_json(&json!({
            "epoch": done.epoch,
            "continued": done.continued,
            "pages": done.pages,
            "dropped": done.dropped.iter().map(object).collect::<Vec<_>>(),
        }));
    }
    let mut out = output::stdout();
    if remarks == Remarks::Shown {
        if done.continued {
            writeln!(out, "went on with the rekey that had been stopped")?;
        }
        for slot in &done.dropped {
            let label = slot.label.as_deref().unwrap_or_default();
            let name = format!("removed #{} {} {label}", slot.number, slot.kind.name());
            writeln!(out, "{}", printable(name.trim_end()))?;
        }
        let (epoch, pages) = (done.epoch, done.pages);
        writeln!(
            out,
            "sealed {pages} pages anew; every page is under the key of epoch {epoch}, and older keys are gone"
        )?;
    }
    Ok(out.flush()?)
}
