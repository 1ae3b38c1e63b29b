//! A table with indexes of ours, and a time series: after every kill each index has what its table has, and nobody's
//! acknowledged point is missing.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};

use crate::rng::Rng;
use crate::support::{assert_clean, assert_sound, create, one, open};
use crate::{SEED, number};

const FILE: &str = "ZQLITE_TEST_KILLED_INDEXES";
const KINDS: [&str; 4] = ["linux", "macos", "router", ""];
const PRAGMAS: &str =
    "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=20; PRAGMA cache_size=20;";

/// Few enough for rows to replace each other, and of both families.
fn prefix(rng: &mut Rng) -> String {
    let bits = u32::try_from(rng.below(1 << 6)).unwrap();
    if rng.below(3) == 0 {
        let len = [16, 32, 48, 64][rng.below(4)];
        let all = u128::from(0xfd00_u32 | bits) << 112 | u128::from(bits) << 64;
        let base = all & (u128::MAX << (128 - len));
        format!("{}/{len}", Ipv6Addr::from(base))
    } else {
        let len = [8, 12, 16, 24, 32][rng.below(5)];
        let base = (10 << 24 | bits << 18 | bits << 8 | bits) & (u32::MAX << (32 - len));
        format!("{}/{len}", Ipv4Addr::from(base))
    }
}

/// Not a test of its own: what the child does. Without a role it does nothing.
#[test]
fn child_role() {
    let (Some(file), Some(seed)) = (std::env::var_os(FILE), number(SEED)) else {
        return;
    };
    let connection = open(Path::new(&file));
    connection.execute_batch(PRAGMAS).unwrap();
    let mut rng = Rng::new(seed);
    loop {
        let before: i64 = one(&connection, "SELECT transactions FROM done");
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..=rng.below(20) {
            change(&connection, &mut rng, before);
        }
        connection
            .execute_batch("UPDATE done SET transactions = transactions + 1")
            .unwrap();
        connection.execute_batch("COMMIT").unwrap();
        println!("\ncommitted {} .", before + 1);
    }
}

fn change(connection: &Connection, rng: &mut Rng, at: i64) {
    let kind = KINDS[rng.below(4)];
    let some = i64::try_from(rng.below(60)).unwrap();
    let (sql, parameters): (&str, &[&dyn rusqlite::ToSql]) = match rng.below(5) {
        0 => (
            "INSERT OR REPLACE INTO host(prefix, kind) VALUES (?1, ?2)",
            params![prefix(rng), kind],
        ),
        1 => (
            "UPDATE OR REPLACE host SET prefix = ?1 WHERE id % 60 = ?2",
            params![prefix(rng), some],
        ),
        2 => (
            "UPDATE host SET kind = nullif(?1, '') WHERE id % 20 = ?2",
            params![kind, some],
        ),
        3 => ("DELETE FROM host WHERE id % 60 = ?1", params![some]),
        _ => {
            // Not always in order; of two at the same time the later one counts.
            let time = at * 10 - some;
            for table in ["load", "point"] {
                let sql = format!(
                    "INSERT OR REPLACE INTO {table}(time, series, value) VALUES (?1, ?2, ?3)"
                );
                connection.execute(&sql, params![time, kind, at]).unwrap();
            }
            return;
        }
    };
    connection.execute(sql, parameters).unwrap();
}

fn ids(connection: &Connection, sql: &str, parameter: &str) -> Vec<i64> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([parameter], |row| row.get(0)).unwrap();
    let mut ids: Vec<i64> = rows.map(Result::unwrap).collect();
    ids.sort_unstable();
    ids
}

/// Every prefix, with the row that it stands in.
fn prefixes(connection: &Connection) -> Vec<(i64, IpAddr, u32)> {
    let mut statement = connection.prepare("SELECT id, prefix FROM host").unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .unwrap();
    rows.map(|row| {
        let (id, prefix) = row.unwrap();
        let (base, len) = prefix.split_once('/').unwrap();
        (id, base.parse().unwrap(), len.parse().unwrap())
    })
    .collect()
}

fn covers(base: IpAddr, len: u32, address: IpAddr) -> bool {
    match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            (base.to_bits() ^ address.to_bits()) >> (32 - len) == 0
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => {
            (base.to_bits() ^ address.to_bits()) >> (128 - len) == 0
        }
        _ => false,
    }
}

fn check(path: &Path, acknowledged: i64) -> i64 {
    let connection = open(path);
    let last: i64 = one(&connection, "SELECT transactions FROM done");
    let range = acknowledged..=acknowledged + 1;
    assert!(
        range.contains(&last),
        "{acknowledged} acknowledged, {last} found"
    );
    let table = prefixes(&connection);
    for kind in KINDS {
        let found = ids(
            &connection,
            "SELECT rowid FROM host_kind WHERE kind = ?1",
            kind,
        );
        let expected = ids(&connection, "SELECT id FROM host WHERE kind = ?1", kind);
        assert_eq!(found, expected, "{kind}");
    }
    // Each prefix's own address, so that something is found.
    for (_, address, _) in &table {
        let longest = table
            .iter()
            .filter(|(_, base, len)| covers(*base, *len, *address))
            .map(|(_, _, len)| len)
            .max()
            .unwrap();
        let mut expected: Vec<i64> = table
            .iter()
            .filter(|(_, base, len)| len == longest && covers(*base, *len, *address))
            .map(|(id, _, _)| *id)
            .collect();
        expected.sort_unstable();
        let sql = "SELECT rowid FROM host_ip WHERE longest_match = ?1";
        assert_eq!(ids(&connection, sql, &address.to_string()), expected);
    }
    let points = |table: &str| -> Vec<(String, i64, f64)> {
        let sql = format!("SELECT series, time, value FROM {table} ORDER BY 1, 2");
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(points("load"), points("point"));
    assert_sound(&connection);
    last
}

#[test]
fn every_index_has_what_its_table_has_after_every_kill() {
    let kills = number("ZQLITE_KILLS").unwrap_or(20);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = number("ZQLITE_KILLS_SEED").unwrap_or_else(|| now.unwrap().subsec_nanos().into());
    println!("ZQLITE_KILLS_SEED={seed}");
    let mut rng = Rng::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = create(&path);
    connection.execute_batch(PRAGMAS).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE host(id INTEGER PRIMARY KEY, prefix TEXT UNIQUE, kind TEXT);
             CREATE VIRTUAL TABLE host_ip USING cidr(host, prefix);
             CREATE VIRTUAL TABLE host_kind USING bitmap(host, kind);
             CREATE VIRTUAL TABLE load USING timeseries(chunk=16);
             CREATE TABLE point(series TEXT, time INTEGER, value REAL, PRIMARY KEY(series, time));
             CREATE TABLE done(transactions INTEGER);
             INSERT INTO done VALUES (0);",
        )
        .unwrap();
    drop(connection);
    let (mut last, mut done) = (0, 0);
    for _ in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "indexes::child_role",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FILE, &path)
            .env(SEED, rng.next().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut acknowledged =
            said.lines()
                .map_while(Result::ok)
                .filter_map(|line| -> Option<i64> {
                    // A line that the kill cut short says nothing.
                    let number = line.strip_prefix("committed ")?.strip_suffix(" .")?;
                    number.parse().ok()
                });
        let first = acknowledged.next();
        sleep(Duration::from_micros(rng.next() % 30_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = acknowledged.last().or(first).expect("it said nothing");
        assert!(acknowledged > last, "{acknowledged} after {last}");
        last = check(&path, acknowledged);
        done += 1;
    }
    assert_eq!(done, kills);
    println!("{kills} kills, {last} transactions");
    assert_clean(&path);
}
