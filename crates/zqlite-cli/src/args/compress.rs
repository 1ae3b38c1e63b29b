//! The commands that compress a column and make it plain again.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{Anchored, Keys};

#[derive(Debug, Args)]
pub(crate) struct Compress {
    /// The sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// The table
    #[arg(required_unless_present = "list")]
    pub(crate) table: Option<String>,
    /// The column
    #[arg(required_unless_present = "list")]
    pub(crate) column: Option<String>,
    /// How hard zstd works, from 1 to 19; reading is equally fast at each [default: 3; with --retrain what the column has]
    #[arg(long, value_name = "N", conflicts_with = "list",
        value_parser = clap::value_parser!(i32).range(1..=i64::from(zqlite::compression::MAX_LEVEL)))]
    pub(crate) level: Option<i32>,
    /// Where a column has a default and may be NULL, an INSERT of NULL takes the default
    #[arg(long, conflicts_with = "retrain")]
    pub(crate) null_takes_default: bool,
    /// Train a new dictionary for a column that is compressed, and compress all rows with it
    #[arg(long)]
    pub(crate) retrain: bool,
    /// With --retrain: leave the rows that are there as they are
    #[arg(long, requires = "retrain")]
    pub(crate) new_rows_only: bool,
    /// List the columns that are compressed
    #[arg(long, conflicts_with_all = ["table", "column", "retrain", "null_takes_default"])]
    pub(crate) list: bool,
    /// Print one JSON object; with --list, an array of them
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) keys: Keys,
    #[command(flatten)]
    pub(crate) anchored: Anchored,
}

#[derive(Debug, Args)]
pub(crate) struct Decompress {
    /// The sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) sealed: PathBuf,
    /// The table
    pub(crate) table: String,
    /// The column
    pub(crate) column: String,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) keys: Keys,
    #[command(flatten)]
    pub(crate) anchored: Anchored,
}
