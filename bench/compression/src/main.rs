//! How much compressing a column saves of JSON that describes machines, row by row, with a dictionary that was trained
//! on *other* rows; and what a row costs, both ways.

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use rusqlite::Connection;
use serde_json::json;
use zqlite::compression::{self, Options};

mod peer;

/// Compress the metadata of machines, row by row.
#[derive(Debug, Parser)]
struct Args {
    /// Rows that the dictionary is trained on
    #[arg(long, default_value_t = 8_000)]
    train: u64,
    /// Rows that are measured: none of them was trained on
    #[arg(long, default_value_t = 8_000)]
    held_out: u64,
    /// Where the rows come from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How hard zstd works
    #[arg(long, default_value_t = compression::DEFAULT_LEVEL)]
    level: i32,
    /// Rounds of timing; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// End with status 1 if less is saved, in percent
    #[arg(long)]
    check: Option<f64>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let connection = zqlite::Builder::new(folder.path().join("bench.db"))
        .raw_key(zqlite::pq::RawKey::from_bytes([1; 32]))
        .create(vec![zqlite::pq::header::NewSlot {
            key: zqlite::pq::header::SlotKey::RawKey(zqlite::pq::RawKey::from_bytes([1; 32])),
            label: "bench".to_owned(),
        }])
        .open()?;
    let mut random = peer::Random(args.seed);
    let mut rows = |from: u64, count: u64| -> Vec<String> {
        (from..from + count)
            .map(|id| peer::metadata(id, &mut random))
            .collect()
    };
    let (trained_on, held_out) = (rows(0, args.train), rows(args.train, args.held_out));
    connection.execute_batch("CREATE TABLE peer(id INTEGER PRIMARY KEY, meta TEXT); BEGIN")?;
    insert(&connection, &trained_on)?;
    connection.execute_batch("COMMIT")?;
    let mut options = Options::default();
    options.level = args.level;
    let done =
        compression::compress_column(&connection, "peer", "meta", &options, &mut |_, _| true)?;
    connection.execute_batch("BEGIN; DELETE FROM peer")?;
    insert(&connection, &held_out)?;
    connection.execute_batch("COMMIT")?;
    let read: Vec<String> = connection
        .prepare("SELECT meta FROM peer ORDER BY id")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    ensure!(read == held_out, "what was read is not what was written");
    let plain: usize = held_out.iter().map(String::len).sum();
    let stored: i64 = connection.query_row(
        "SELECT sum(length(meta)) FROM peer_zqlite_rows",
        [],
        |row| row.get(0),
    )?;
    let saved = 100.0 * (1.0 - stored as f64 / plain as f64);
    let (compress_ns, decompress_ns) = time(&connection, &args, &held_out)?;
    let bytes = plain as f64 / held_out.len() as f64;
    if args.json {
        let report = json!({
            "rows": held_out.len(), "trained_on": trained_on.len(), "level": args.level,
            "row_bytes": bytes, "stored_row_bytes": stored as f64 / held_out.len() as f64,
            "dictionary_bytes": done.dictionary_bytes, "saved_percent": saved,
            "compress_ns": compress_ns, "decompress_ns": decompress_ns,
        });
        println!("{report}");
    } else {
        println!(
            "{} rows of {bytes:.0} bytes, dictionary of {} trained on {} others, level {}: {saved:.1} % saved",
            held_out.len(),
            done.dictionary_bytes,
            trained_on.len(),
            args.level
        );
        println!("a row: {compress_ns:.0} ns to compress, {decompress_ns:.0} ns to decompress");
    }
    if let Some(least) = args.check {
        ensure!(saved >= least, "{saved:.1} % saved, less than {least} %");
    }
    Ok(())
}

fn insert(connection: &Connection, rows: &[String]) -> Result<()> {
    let mut statement = connection.prepare("INSERT INTO peer(meta) VALUES (?1)")?;
    for row in rows {
        statement.execute([row])?;
    }
    Ok(())
}

/// Nanoseconds a row takes through the SQL functions alone: what a statement that does nothing with the value costs is
/// subtracted. Medians of rounds that take turns.
fn time(connection: &Connection, args: &Args, rows: &[String]) -> Result<(f64, f64)> {
    let id: Option<i64> =
        connection.query_row("SELECT max(id) FROM zqlite_dictionaries", [], |row| {
            row.get(0)
        })?;
    let stored: Vec<Vec<u8>> = connection
        .prepare("SELECT meta FROM peer_zqlite_rows")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut nothing = connection.prepare("SELECT length(?1) + ?2")?;
    let mut compress = connection.prepare("SELECT length(zqlite_compress(?1, ?2))")?;
    let mut decompress = connection.prepare("SELECT length(zqlite_decompress(?1)) + ?2")?;
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..args.rounds.max(1) {
        let clock = Instant::now();
        for row in rows {
            nothing.query_row((row, id), |_| Ok(()))?;
        }
        let base = clock.elapsed();
        let clock = Instant::now();
        for row in rows {
            compress.query_row((row, id), |_| Ok(()))?;
        }
        let compressed = clock.elapsed();
        let clock = Instant::now();
        for row in &stored {
            decompress.query_row((row, id), |_| Ok(()))?;
        }
        for (times, time) in times.iter_mut().zip([base, compressed, clock.elapsed()]) {
            times.push(time.as_nanos() as f64 / rows.len() as f64);
        }
    }
    let [base, compressed, decompressed] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or_default()
    });
    Ok((compressed - base, decompressed - base))
}
