//! `encrypt` and `decrypt` are killed at random moments: the source stays as it is, the target is not there, is what
//! it was, or is complete, and the next run removes what the killed one left.
//!
//! `ZQLITE_KILLS`: kills for each command (default 20). `ZQLITE_KILLS_SEED`: the seed of the moments (default:
//! another one in each run, printed).
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use crate::support::Bench;

const ROWS: &str = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t(b);
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1500)
    INSERT INTO t SELECT x, hex(randomblob(300)) FROM n;";
const SUM: &str = "SELECT count(*), sum(a), sum(length(b)) FROM t";
const SUM_IS: &str = "1500,1125750,900000";

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// One command that makes `target` of `source`.
struct Transfer {
    bench: Bench,
    args: Vec<&'static str>,
    source: &'static str,
    target: &'static str,
    /// What the target is before: nothing, or this.
    old: Option<Vec<u8>>,
    /// How long the command takes if nobody kills it.
    takes: Duration,
    seed: u64,
}

/// What the killed runs were like.
#[derive(Debug, Default)]
struct Seen {
    kills: u64,
    complete: u64,
    unfinished_files: u64,
}

impl Transfer {
    fn new(bench: Bench, args: &[&'static str], replaces: bool) -> Self {
        let (source, target) = (args[1], args[2]);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let mut transfer = Self {
            bench,
            args: args.to_vec(),
            source,
            target,
            old: None,
            takes: Duration::ZERO,
            seed: number("ZQLITE_KILLS_SEED").unwrap_or_else(|| now.unwrap().subsec_nanos().into()),
        };
        let start = Instant::now();
        transfer.bench.run(&transfer.args).ok();
        transfer.takes = start.elapsed();
        transfer.assert_complete();
        if replaces {
            transfer.old = Some(transfer.bench.read(target));
            transfer.args.push("--force");
        } else {
            std::fs::remove_file(transfer.bench.path(target)).unwrap();
        }
        transfer
    }

    /// Knuth's linear congruential generator, its upper half.
    fn random(&mut self) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.seed >> 33
    }

    fn unfinished(&self) -> usize {
        let prefix = format!(".{}.zqlite-tmp-", self.target);
        let names = self.bench.names();
        names
            .iter()
            .filter(|name| name.starts_with(&prefix))
            .count()
    }

    fn assert_complete(&self) {
        let target = self.target;
        let run = if self.args[0] == "encrypt" {
            self.bench.run(["verify", target, "-i", "me.identity"]).ok();
            let args = ["query", target, "-i", "me.identity", "--csv", SUM];
            self.bench.run(args).ok().last_line().to_owned()
        } else {
            let plain = zqlite::rusqlite::Connection::open(self.bench.path(target)).unwrap();
            let sound: String = plain
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap();
            assert_eq!(sound, "ok");
            plain
                .query_row(SUM, [], |row| {
                    Ok(format!(
                        "{},{},{}",
                        row.get::<_, i64>(0)?,
                        row.get::<_, i64>(1)?,
                        row.get::<_, i64>(2)?
                    ))
                })
                .unwrap()
        };
        assert_eq!(run, SUM_IS);
    }

    /// Kills a run: every other one not before its unfinished file is there.
    fn kill(&mut self) {
        let mut child = self.bench.command(&self.args).spawn().unwrap();
        if self.random().is_multiple_of(2) {
            while self.unfinished() == 0 && child.try_wait().unwrap().is_none() {
                sleep(Duration::from_micros(200));
            }
        }
        let takes = u64::try_from(self.takes.as_micros()).unwrap();
        sleep(Duration::from_micros(self.random() % takes));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() || status.signal() == Some(9), "{status:?}");
    }

    fn run(mut self) -> Seen {
        println!("ZQLITE_KILLS_SEED={}", self.seed);
        let mut seen = Seen::default();
        let source = self.bench.read(self.source);
        let mut with_target = self.bench.names();
        if self.old.is_none() {
            with_target.push(self.target.to_owned());
            with_target.sort();
        }
        for _ in 0..number("ZQLITE_KILLS").unwrap_or(20) {
            self.kill();
            seen.kills += 1;
            seen.unfinished_files += u64::from(self.unfinished() > 0);
            assert_eq!(self.bench.read(self.source), source, "the source changed");
            let made = self.bench.path(self.target).exists();
            if made && Some(self.bench.read(self.target)) != self.old {
                self.assert_complete();
                seen.complete += 1;
            } else {
                assert_eq!(made, self.old.is_some(), "the old target is gone");
            }
            if made && self.old.is_none() {
                std::fs::remove_file(self.bench.path(self.target)).unwrap();
            }
            self.bench.run(&self.args).ok();
            assert_eq!(self.bench.names(), with_target);
            self.assert_complete();
            match &self.old {
                Some(old) => self.bench.write(self.target, old),
                None => std::fs::remove_file(self.bench.path(self.target)).unwrap(),
            }
        }
        println!("{seen:?}");
        assert!(seen.unfinished_files > 0, "{seen:?}");
        assert!(seen.complete < seen.kills, "{seen:?}");
        seen
    }
}

fn bench() -> Bench {
    let bench = Bench::with_plain();
    bench.database("rows.db", ROWS);
    bench
}

const ENCRYPT: [&str; 5] = ["encrypt", "rows.db", "rows.sealed", "-R", "me.recipient"];

#[test]
fn a_killed_encrypt_leaves_no_target_or_a_complete_one() {
    Transfer::new(bench(), &ENCRYPT, false).run();
}

#[test]
fn a_killed_encrypt_leaves_the_old_target_or_a_complete_new_one() {
    Transfer::new(bench(), &ENCRYPT, true).run();
}

#[test]
fn a_killed_decrypt_leaves_no_target_or_a_complete_one() {
    let bench = bench();
    bench.run(ENCRYPT).ok();
    let args = ["decrypt", "rows.sealed", "rows.plain", "-i", "me.identity"];
    Transfer::new(bench, &args, false).run();
}

#[test]
fn who_may_not_write_is_told_that_a_transaction_has_to_be_taken_back_first() {
    let bench = Bench::with_plain();
    bench.database("rows.db", ROWS);
    let encrypt = [
        "encrypt",
        "rows.db",
        "sealed.db",
        "-R",
        "me.recipient",
        "-q",
    ];
    bench.run(encrypt).ok();

    // Pages are in the database file before the transaction ends: the cache holds only a few.
    let args = ["shell", "sealed.db", "-i", "me.identity"];
    let mut shell = bench.command(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    let unfinished =
        "PRAGMA cache_size = 5; BEGIN; UPDATE t SET b = 'half done'; SELECT 'written';\n";
    input.write_all(unfinished.as_bytes()).unwrap();
    input.flush().unwrap();
    let output = BufReader::new(shell.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap().contains("written")));
    shell.kill().unwrap();
    shell.wait().unwrap();

    let read = bench.query(["--csv", SUM]);
    read.fails_with(1, "a process was killed in the middle of a transaction");
    bench.query(["--write", "PRAGMA user_version"]).ok();
    assert_eq!(bench.query(["--csv", SUM]).ok().last_line(), SUM_IS);
}
