//! `compress`, its `--retrain` and `decompress` are killed, and asked to stop: the column is what it was or what it was
//! to become, and every value is there.
//!
//! `ZQLITE_KILLS`: kills for each command (default 6).
#![cfg(unix)]

use std::fs;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Bench, Run};

const SUM: &str = "SELECT count(*), sum(length(a)), sum(length(b)), max(a), min(b) FROM t";
const KEY: [&str; 2] = ["-i", "me.identity"];

/// `sealed.db` with two columns that take a while.
fn with_rows(rows: u32) -> Bench {
    let bench = Bench::with_plain();
    let text = |salt: u32| {
        format!(
            "json_object('host', 'host-' || x || '.example.org', 'n', x * {salt} % 1009, 'tags', 'one two three')"
        )
    };
    bench.database(
        "rows.db",
        &format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT);
             WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {rows})
             INSERT INTO t SELECT x, {}, {} FROM c",
            text(7),
            text(31)
        ),
    );
    bench
        .run([
            "encrypt",
            "rows.db",
            "sealed.db",
            "-R",
            "me.recipient",
            "-q",
        ])
        .ok();
    bench
}

fn zqlite(bench: &Bench, args: &[&str]) -> Run {
    bench.run([args, &KEY].concat())
}

fn sum(bench: &Bench) -> String {
    bench.query(["--csv", SUM]).ok().stdout
}

/// How many columns are compressed.
fn compressed(bench: &Bench) -> usize {
    let run = zqlite(bench, &["compress", "sealed.db", "--list", "--json"]).ok();
    let listed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    listed.as_array().unwrap().len()
}

fn start(bench: &Bench, args: &[&str]) -> Child {
    bench.command([args, &KEY].concat()).spawn().unwrap()
}

/// Waits until the command has written into a rollback journal: false if it ended before that was seen.
fn journal_begins(bench: &Bench, child: &mut Child) -> bool {
    let begin = Instant::now();
    while fs::metadata(bench.path("sealed.db-journal")).map_or(0, |file| file.len()) == 0 {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "no journal");
        sleep(Duration::from_millis(1));
    }
    true
}

/// The commands that change a column, each from the state that the one before leaves: what to run, and how many columns
/// are compressed before and after it.
const ACTS: [(&[&str], usize, usize); 5] = [
    (&["compress", "sealed.db", "t", "a", "-q"], 0, 1),
    (&["compress", "sealed.db", "t", "b", "-q"], 1, 2),
    (
        &["compress", "sealed.db", "t", "a", "--retrain", "-q"],
        2,
        2,
    ),
    (&["decompress", "sealed.db", "t", "a", "-q"], 2, 1),
    (&["decompress", "sealed.db", "t", "b", "-q"], 1, 0),
];

#[test]
fn a_kill_at_any_moment_leaves_every_value_and_a_column_that_is_finished_later() {
    let kills: u32 = std::env::var("ZQLITE_KILLS").map_or(6, |text| text.parse().unwrap());
    let bench = with_rows(6_000);
    let before = sum(&bench);
    let mut ran = 0;
    for (args, from, to) in ACTS {
        // How long it takes if nobody kills it, on a copy.
        let sealed = bench.read("sealed.db");
        let begin = Instant::now();
        zqlite(&bench, args).ok();
        let takes = begin.elapsed();
        bench.write("sealed.db", sealed);
        for kill in 0..=kills {
            let mut child = start(&bench, args);
            if kill == 0 {
                // However busy the machine is, one kill per act comes in the midst of its transaction.
                journal_begins(&bench, &mut child);
            } else {
                sleep(takes * (kill - 1) / kills);
            }
            child.kill().unwrap();
            child.wait().unwrap();
            if bench.path("sealed.db-journal").exists() {
                // What is half done is taken back by whoever may write.
                bench.query(["--write", "PRAGMA user_version"]).ok();
            }
            assert_eq!(sum(&bench), before, "{args:?}");
            let now = compressed(&bench);
            assert!(now == from || now == to, "{args:?}: {now}");
            ran += 1;
            if from != to && now == to {
                break;
            }
        }
        zqlite(&bench, &["verify", "sealed.db", "-q"]).ok();
        if compressed(&bench) != to || from == to {
            zqlite(&bench, args).ok();
        }
        assert_eq!(compressed(&bench), to, "{args:?}");
        assert_eq!(sum(&bench), before, "{args:?}");
        if from == to {
            // What killed runs left of older dictionaries is gone.
            let dictionaries = "SELECT count(*) FROM zqlite_dictionaries";
            assert_eq!(bench.query(["--csv", dictionaries]).ok().last_line(), "2");
        }
    }
    assert!(ran >= 5, "{ran}");
    let left = "SELECT group_concat(name) FROM sqlite_schema";
    assert_eq!(bench.query(["--csv", left]).ok().last_line(), "t");
}

#[test]
fn ctrl_c_takes_back_what_was_begun_whichever_column_it_is() {
    let bench = with_rows(40_000);
    let mut ran = 0;
    for (args, from, _) in ACTS {
        if args.contains(&"--retrain") {
            continue;
        }
        let (before, names) = (sum(&bench), bench.names());
        let mut child = start(&bench, args);
        assert!(journal_begins(&bench, &mut child), "it was too fast");
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        Run::new(child.wait_with_output().unwrap()).fails_with(130, "interrupted");
        assert_eq!(bench.names(), names);
        assert_eq!(compressed(&bench), from, "{args:?}");
        assert_eq!(sum(&bench), before);
        zqlite(&bench, args).ok();
        ran += 1;
    }
    assert_eq!(ran, 4);
}
