//! `zqlite proof`

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::json;
use zqlite::Error;
use zqlite::pq::seal::{Proof, Seal};

use crate::args;
use crate::exit::Fault;
use crate::keys;
use crate::output::{self, Remarks, hex, printable, printable_json};
use crate::progress::Progress;

pub(super) fn run(args: &args::Proof, remarks: Remarks) -> Result<()> {
    let expected = args
        .signed_by
        .as_deref()
        .map(|key| keys::expected(key, remarks))
        .transpose()?;
    let seal = zqlite::read_seal(&args.seal)?;
    match (&args.check, &args.sealed) {
        (Some(path), None) => {
            let expected =
                expected.ok_or_else(|| Fault::usage("--check needs --signed-by KEY[@FILE-ID]"))?;
            let proof = zqlite::read_proof(path)?;
            zqlite::check_proof(path, &proof, &seal, &expected)?;
            report(args, path, &proof, &seal, remarks)
        }
        (None, Some(sealed)) => {
            let (Some(number), Some(target)) = (args.page, &args.output) else {
                return Err(Fault::usage("--page N and -o FILE are needed to make a proof").into());
            };
            if let Some(expected) = &expected {
                seal.verify(expected)
                    .map_err(|error| Error::SignatureUnexpected {
                        path: args.seal.clone(),
                        what: error.to_string(),
                    })?;
            }
            let progress = Progress::start("proving", remarks)?;
            let outcome = zqlite::prove_to(
                sealed,
                target,
                args.force,
                &seal,
                number,
                &mut progress.callback(),
            );
            drop(progress);
            report(args, target, &outcome?, &seal, remarks)
        }
        _ => Err(Fault::usage("name a sealed database, or --check a proof").into()),
    }
}

fn report(
    args: &args::Proof,
    path: &Path,
    proof: &Proof,
    seal: &Seal,
    remarks: Remarks,
) -> Result<()> {
    let mut out = output::stdout();
    let number = proof.number();
    if args.json {
        let object = json!({
            "ok": true,
            "proof": path.display().to_string(),
            "page": number,
            "file_id": seal.state().file_id.to_string(),
            "seal_sha256": hex(proof.seal_hash()),
            "path_len": proof.path().len(),
        });
        writeln!(out, "{}", printable_json(&object.to_string()))?;
    } else if args.check.is_some() {
        let pages = seal.state().pages;
        writeln!(
            out,
            "page {number} of {pages} belongs to the sealed state of file {}",
            seal.state().file_id
        )?;
    } else if remarks == Remarks::Shown {
        let path = printable(&path.display().to_string());
        writeln!(
            out,
            "{path}: page {number}, of the file {}",
            seal.state().file_id
        )?;
    }
    Ok(out.flush()?)
}
