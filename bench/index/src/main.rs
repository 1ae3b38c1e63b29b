//! The indexes that SQLite lacks, in a sealed database, against the best way of plain SQLite.
//!
//! All find the same, or this fails. The figures are medians of rounds in turn.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use serde_json::{Map, Value};

mod bitmap;
mod contest;
mod databases;
mod numbers;
mod points;
mod prefixes;
mod routes;
mod timeseries;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Story {
    Ipv4,
    Ipv6,
    Bitmap,
    TimeSeries,
}

/// Measures the indexes.
#[derive(Parser)]
struct Args {
    /// Only these, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Story>,
    /// How many routes of each family.
    #[arg(long, default_value_t = 100_000)]
    routes: usize,
    /// How many of their lookups in each round.
    #[arg(long, default_value_t = 50_000)]
    lookups: usize,
    /// How many rows have a bitmap.
    #[arg(long, default_value_t = 200_000)]
    rows: usize,
    /// How many points each of twenty series has.
    #[arg(long, default_value_t = 40_000)]
    points: usize,
    /// How many points a chunk of them has.
    #[arg(long, default_value_t = 1_024)]
    chunk: usize,
    /// How many rounds.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Write the figures to this file, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut figures = Map::new();
    for story in Story::value_variants() {
        if !args.only.is_empty() && !args.only.contains(story) {
            continue;
        }
        let (name, measured): (_, Value) = match story {
            Story::Ipv4 => (
                "ipv4",
                prefixes::measure(routes::Family::V4, "IPv4", &args)?,
            ),
            Story::Ipv6 => (
                "ipv6",
                prefixes::measure(routes::Family::V6, "IPv6", &args)?,
            ),
            Story::Bitmap => ("bitmap", bitmap::measure(&args)?),
            Story::TimeSeries => ("time_series", timeseries::measure(&args)?),
        };
        figures.insert(name.to_owned(), measured);
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&figures)?)?;
    }
    Ok(())
}
