//! `plain`, `sealed`, and `extension`: one SQLite, as it is, over the VFS `zqlite`, and over that of the loadable extension.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bench_work::Engine;

mod extension;
mod plain;
mod sealed;

use extension::Extension;
use plain::Plain;
use sealed::Sealed;

fn main() -> Result<()> {
    bench_work::run(std::env::args_os(), choose)
}

fn choose(name: &str, extension: Option<&Path>) -> Result<Box<dyn Engine>> {
    Ok(match name {
        "plain" => Box::new(Plain),
        "sealed" => Box::new(Sealed),
        "extension" => Box::new(Extension::load(
            extension.context("--extension is missing")?,
        )?),
        other => bail!("there is no engine {other} here"),
    })
}
