//! `zqlite seal`, and `zqlite verify --seal`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};
use zqlite::SealOptions;

use crate::args::{Seal, Verify};
use crate::exit::Fault;
use crate::keys;
use crate::open;
use crate::output::{self, Remarks, hex, printable, printable_json};
use crate::progress::Progress;

pub(super) fn run(args: &Seal, remarks: Remarks) -> Result<()> {
    let signing_key = keys::signing_key(&args.sign_with, remarks)?;
    let credentials = open::credentials(&args.keys, remarks)?;
    let target = args.output.clone().unwrap_or_else(|| {
        let mut name = args.sealed.clone().into_os_string();
        name.push(".seal");
        PathBuf::from(name)
    });
    let mut options = SealOptions::new(credentials.keyring, signing_key);
    options.signed_by = credentials.signed_by;
    let progress = Progress::start("sealing the state", remarks)?;
    let outcome = zqlite::seal_to(
        &args.sealed,
        &target,
        args.force,
        options,
        &mut progress.callback(),
    );
    drop(progress);
    let seal = outcome?;
    let mut out = output::stdout();
    if args.json {
        let object = as_json(&seal, &[("seal", json!(target.display().to_string()))]);
        writeln!(out, "{}", printable_json(&object.to_string()))?;
    } else if remarks == Remarks::Shown {
        let state = seal.state();
        let target = printable(&target.display().to_string());
        writeln!(out, "{target}: {} pages sealed", state.pages)?;
        writeln!(
            out,
            "check it: zqlite verify {} --seal {target} --signed-by KEY@{}",
            printable(&args.sealed.display().to_string()),
            state.file_id
        )?;
    }
    Ok(out.flush()?)
}

/// `zqlite verify SEALED --seal SEAL --signed-by KEY`
pub(super) fn verify(args: &Verify, seal: &Path, remarks: Remarks) -> Result<()> {
    let signed_by = args
        .keys
        .signed_by
        .as_deref()
        .ok_or_else(|| Fault::usage("--seal needs --signed-by KEY[@FILE-ID]"))?;
    let expected = keys::expected(signed_by, remarks)?;
    let seal = zqlite::read_seal(seal)?;
    let progress = Progress::start("verifying", remarks)?;
    let outcome = zqlite::verify_seal(&args.sealed, &seal, &expected, &mut progress.callback());
    drop(progress);
    let verdict = match &outcome {
        Ok(()) => None,
        Err(error) => match error.verdict() {
            zqlite::Verdict::Damaged | zqlite::Verdict::Signature => Some(error.to_string()),
            // It says nothing about the file: there is nothing to report.
            _ => return Ok(outcome?),
        },
    };
    let mut out = output::stdout();
    let printed = if args.json {
        let problems: Vec<_> = verdict.iter().collect();
        let more = [
            ("ok", json!(verdict.is_none())),
            ("problems", json!(problems)),
        ];
        writeln!(
            out,
            "{}",
            printable_json(&as_json(&seal, &more).to_string())
        )
    } else if verdict.is_none() {
        print(&mut out, &seal)
    } else {
        Ok(())
    };
    let printed = printed.and_then(|()| out.flush());
    outcome?;
    Ok(printed?)
}

fn print(out: &mut impl Write, seal: &zqlite::pq::seal::Seal) -> std::io::Result<()> {
    let state = seal.state();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(out, "{name:<12}{}", printable(&value.to_string()))
    };
    line("file id", &state.file_id)?;
    line("generation", &state.generation)?;
    line("revision", &state.revision)?;
    line("pages", &state.pages)?;
    line(
        "sealed at",
        &format_args!("{} seconds since 1970, the signer says", seal.time()),
    )?;
    line("verdict", &"every byte is as it was sealed")
}

fn as_json(seal: &zqlite::pq::seal::Seal, more: &[(&str, Value)]) -> Value {
    let state = seal.state();
    let mut object = json!({
        "file_id": state.file_id.to_string(),
        "page_size": state.page_size.get(),
        "pages": state.pages,
        "generation": state.generation,
        "revision": state.revision,
        "header_sha256": hex(&state.header_hash),
        "root": hex(&state.root),
        "time": seal.time(),
        "signer": seal.signer().to_string(),
        "seal_sha256": hex(&seal.hash()),
    });
    if let Value::Object(object) = &mut object {
        object.extend(
            more.iter()
                .map(|(name, value)| ((*name).into(), value.clone())),
        );
    }
    object
}
