//! What a run that ends early leaves behind.
#![cfg(unix)]

use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::support::{Bench, Run};

/// Enough that sealing takes a while even on a fast machine.
const MANY_ROWS: &str = "CREATE TABLE big(x); \
    INSERT INTO big WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 25000) \
    SELECT randomblob(3900) FROM c;";

#[test]
fn what_a_killed_run_left_is_removed_by_the_next() {
    let bench = Bench::with_sealed();
    bench.database("big.db", MANY_ROWS);
    let before = bench.names();
    let sealed = bench.read("sealed.db");
    let child = stop_while_sealing(&bench, Signal::KILL);
    drop(child);
    assert_eq!(bench.read("sealed.db"), sealed, "the target is untouched");
    assert!(
        bench.names().len() > before.len(),
        "the killed run left a file"
    );
    let run = bench
        .run([
            "encrypt",
            "plain.db",
            "sealed.db",
            "-R",
            "me.recipient",
            "--force",
        ])
        .ok();
    assert!(run.stdout.contains("unfinished files"), "{run:?}");
    assert_eq!(bench.names(), before);
    bench.query(["SELECT * FROM t"]).ok();
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let bench = Bench::with_sealed();
    bench.database("big.db", MANY_ROWS);
    let before = bench.names();
    let sealed = bench.read("sealed.db");
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let child = stop_while_sealing(&bench, signal);
        Run::new(child.wait_with_output().unwrap()).fails_with(status, "interrupted");
        assert_eq!(bench.names(), before);
        assert_eq!(bench.read("sealed.db"), sealed);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let bench = Bench::with_sealed();
    bench.database("big.db", MANY_ROWS);
    let sealed = bench.read("sealed.db");
    let child = stop_while_sealing(&bench, Signal::STOP);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
    // Both wait until it goes on: it cannot answer the first before the second is there.
    for signal in [Signal::INT, Signal::TERM, Signal::CONT] {
        kill_process(pid, signal).unwrap();
    }
    let run = Run::new(child.wait_with_output().unwrap());
    assert!(matches!(run.status, 130 | 143), "{run:?}");
    assert!(!run.stderr.contains("interrupted"), "{run:?}");
    assert_eq!(bench.read("sealed.db"), sealed);
}

/// Starts to seal the big database over the small one, and stops it when its temporary file is there.
fn stop_while_sealing(bench: &Bench, signal: Signal) -> Child {
    let before = std::fs::read_dir(bench.path("")).unwrap().count();
    let args = [
        "encrypt",
        "big.db",
        "sealed.db",
        "-R",
        "me.recipient",
        "--force",
    ];
    let mut child = bench.command(args).spawn().unwrap();
    let start = Instant::now();
    while std::fs::read_dir(bench.path("")).unwrap().count() == before {
        assert!(
            child.try_wait().unwrap().is_none(),
            "sealed before it could be stopped"
        );
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "no temporary file"
        );
        sleep(Duration::from_millis(1));
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    if signal == Signal::KILL {
        child.wait().unwrap();
    }
    child
}
