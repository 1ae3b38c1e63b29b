//! Longest prefix match: the index `cidr` through SQL, and the table in memory behind it, against the best way of plain
//! SQLite: a B-tree by length and address, probed once for each length that exists, longest first, in one statement.
//!
//! All find the same routes, or this fails. The figures are medians of rounds in turn.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use rusqlite::{Connection, OptionalExtension as _, Statement};
use zqlite::Builder;
use zqlite::index::cidr::PrefixTable;
use zqlite::pq::RawKey;
use zqlite::pq::header::{NewSlot, SlotKey};

mod routes;

/// Measures longest prefix match.
#[derive(Parser)]
struct Args {
    /// How many routes.
    #[arg(long, default_value_t = 100_000)]
    routes: usize,
    /// How many lookups in each round.
    #[arg(long, default_value_t = 50_000)]
    lookups: usize,
    /// How many rounds.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Write the figures to this file, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Nanoseconds for each lookup, in each round.
#[derive(Default)]
struct Times {
    plain: Vec<f64>,
    index: Vec<f64>,
    library: Vec<f64>,
    plain_alone: Vec<f64>,
    index_alone: Vec<f64>,
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
fn main() -> Result<()> {
    let args = Args::parse();
    let routes = routes::routes(args.routes);
    let addresses = routes::addresses(&routes, args.lookups);
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(".")?;
    let plain = plain(&folder.path().join("plain.db"), &routes)?;
    let sealed = sealed(&folder.path().join("sealed.db"), &routes)?;
    let started = Instant::now();
    let table = library(&routes)?;
    let built = started.elapsed();

    let mut probe = plain.prepare(PROBE)?;
    let mut index = sealed.prepare("SELECT rowid FROM route_ip WHERE longest_match = ?1")?;
    let texts: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
    let mut times = Times::default();
    for _ in 0..args.rounds {
        for (begin, end, transaction) in [("BEGIN", "COMMIT", true), ("", "", false)] {
            plain.execute_batch(begin)?;
            let (by_probe, time) = measure(&addresses, |address| by_probe(&mut probe, *address))?;
            plain.execute_batch(end)?;
            if transaction {
                &mut times.plain
            } else {
                &mut times.plain_alone
            }
            .push(time);
            sealed.execute_batch(begin)?;
            let (by_index, time) = measure(&texts, |address| by_index(&mut index, address))?;
            sealed.execute_batch(end)?;
            if transaction {
                &mut times.index
            } else {
                &mut times.index_alone
            }
            .push(time);
            ensure!(by_probe == by_index, "the index finds other routes");
            if transaction {
                let (by_table, time) = measure(&addresses, |address| {
                    Ok(table.longest_match(*address).map_or(0, |(_, id)| *id))
                })?;
                times.library.push(time);
                ensure!(
                    by_probe == by_table,
                    "the table in memory finds other routes"
                );
            }
        }
    }
    let [plain, index, library, plain_alone, index_alone] = [
        times.plain,
        times.index,
        times.library,
        times.plain_alone,
        times.index_alone,
    ]
    .map(median);
    println!("longest prefix match, {} routes, ns a lookup", args.routes);
    println!("  plain SQLite, B-tree probes      {plain:>8.0}");
    println!(
        "  cidr through SQL, sealed         {index:>8.0}   {:>5.1} times as fast",
        plain / index
    );
    println!(
        "  library                          {library:>8.0}   {:>5.1} times as fast",
        plain / library
    );
    println!("each lookup a transaction of its own");
    println!("  plain SQLite, B-tree probes      {plain_alone:>8.0}");
    println!(
        "  cidr through SQL, sealed         {index_alone:>8.0}   {:>5.1} times as fast",
        plain_alone / index_alone
    );
    println!("library: built in {:.1} ms", built.as_secs_f64() * 1e3);
    if let Some(path) = &args.json {
        let figures = serde_json::json!({
            "routes": args.routes,
            "lookups": args.lookups,
            "rounds": args.rounds,
            "ns": {
                "plain": plain, "index": index, "library": library,
                "plain_alone": plain_alone, "index_alone": index_alone,
            },
            "ratios": {
                "index": plain / index,
                "library": plain / library,
                "index_alone": plain_alone / index_alone,
            },
        });
        std::fs::write(path, serde_json::to_string_pretty(&figures)?)?;
    }
    Ok(())
}

/// Lengths from the longest to the shortest, and a search in the B-tree for each until one is found.
const PROBE: &str = "SELECT routes.id FROM lengths CROSS JOIN routes
    WHERE routes.len = lengths.len AND routes.base = ?1 & lengths.mask
    ORDER BY lengths.len DESC LIMIT 1";

fn plain(path: &std::path::Path, routes: &[(u32, u8)]) -> Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA cache_size=-64000; BEGIN;
         CREATE TABLE routes(len INTEGER, base INTEGER, id INTEGER, PRIMARY KEY(len, base)) WITHOUT ROWID;
         CREATE TABLE lengths(len INTEGER PRIMARY KEY, mask INTEGER);",
    )?;
    let mut insert = db.prepare("INSERT INTO routes(len, base, id) VALUES (?1, ?2, ?3)")?;
    for (id, (base, len)) in (1_i64..).zip(routes) {
        insert.execute((len, base, id))?;
    }
    drop(insert);
    let lengths: std::collections::BTreeSet<u8> = routes.iter().map(|route| route.1).collect();
    for len in lengths {
        db.execute(
            "INSERT INTO lengths VALUES (?1, ?2)",
            (len, routes::mask(len)),
        )?;
    }
    db.execute_batch("COMMIT; ANALYZE;")?;
    Ok(db)
}

fn sealed(path: &std::path::Path, routes: &[(u32, u8)]) -> Result<Connection> {
    let key = [7; 32];
    let slot = NewSlot {
        key: SlotKey::RawKey(RawKey::from_bytes(key)),
        label: "bench".to_owned(),
    };
    let db = Builder::new(path)
        .raw_key(RawKey::from_bytes(key))
        .create(vec![slot])
        .open()?;
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA cache_size=-64000; BEGIN;
         CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT);",
    )?;
    let mut insert = db.prepare("INSERT INTO routes(id, prefix) VALUES (?1, ?2)")?;
    for (id, (base, len)) in (1_i64..).zip(routes) {
        insert.execute((id, format!("{}/{len}", Ipv4Addr::from(*base))))?;
    }
    drop(insert);
    db.execute_batch("CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix); COMMIT;")?;
    Ok(db)
}

fn library(routes: &[(u32, u8)]) -> Result<PrefixTable<i64>> {
    (1_i64..)
        .zip(routes)
        .map(|(id, (base, len))| Ok((format!("{}/{len}", Ipv4Addr::from(*base)).parse()?, id)))
        .collect()
}

fn by_probe(probe: &mut Statement<'_>, address: Ipv4Addr) -> Result<i64> {
    let found = probe.query_row([u32::from(address)], |row| row.get(0));
    Ok(found.optional()?.unwrap_or(0))
}

fn by_index(index: &mut Statement<'_>, address: &str) -> Result<i64> {
    let found = index.query_row([address], |row| row.get(0));
    Ok(found.optional()?.unwrap_or(0))
}

/// What the lookups found, and how long one took.
fn measure<T>(
    addresses: &[T],
    mut look_up: impl FnMut(&T) -> Result<i64>,
) -> Result<(Vec<i64>, f64)> {
    let mut found = Vec::with_capacity(addresses.len());
    let started = Instant::now();
    for address in addresses {
        found.push(look_up(address)?);
    }
    let lookups = f64::from(u32::try_from(addresses.len())?);
    Ok((found, started.elapsed().as_secs_f64() * 1e9 / lookups))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
