//! Every command with a stdout whose reader is gone: only what loses nothing succeeds.

use crate::support::Bench;

const KEY: [&str; 2] = ["-i", "me.identity"];

#[test]
fn a_verdict_does_not_depend_on_a_reader() {
    let bench = Bench::with_sealed();
    let mut file = bench.read("sealed.db");
    let last = file.len() - 3_000;
    file[last] ^= 1;
    file[200] ^= 1;
    bench.write("bad.db", file);
    for format in [&[][..], &["--json"]] {
        let run = |command, file, key: &[&str]| {
            bench.run_unread([&[command, file], format, key].concat(), "")
        };
        run("verify", "bad.db", &KEY).fails_with(4, "altered or damaged");
        run("inspect", "bad.db", &[]).fails_with(4, "altered or damaged");
        run("verify", "sealed.db", &KEY).ok();
        run("inspect", "sealed.db", &[]).ok();
    }
}

#[test]
fn what_only_reads_may_be_cut_short() {
    let bench = Bench::with_sealed();
    let query = [
        "query",
        "sealed.db",
        "-q",
        "-i",
        "me.identity",
        "SELECT * FROM t",
    ];
    assert_eq!(bench.run_unread(query, "").ok().stderr, "");
    let shell = [
        "shell",
        "sealed.db",
        "-q",
        "--read-only",
        "-i",
        "me.identity",
    ];
    assert_eq!(bench.run_unread(shell, ".dump\n").ok().stderr, "");
    assert_eq!(
        bench.run_unread(["completions", "bash"], "").ok().stderr,
        ""
    );
    assert_eq!(bench.run_unread(["--help"], "").ok().stderr, "");
    assert_eq!(bench.run_unread(["--version"], "").ok().stderr, "");
}

#[test]
fn a_failure_outweighs_a_reader_that_left() {
    let bench = Bench::with_sealed();
    let query = [
        "query",
        "sealed.db",
        "-i",
        "me.identity",
        "SELECT 1; SELECT * FROM missing",
    ];
    bench.run_unread(query, "").fails_with(1, "no such table");
}

#[test]
fn what_writes_or_makes_keys_fails() {
    let bench = Bench::with_sealed();
    let many = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000) SELECT n FROM c;";
    let sql = format!("{many} DELETE FROM t;");
    let key = "me.identity";
    let gone = "stdout is closed";
    let query = ["query", "sealed.db", "--write", "-i", key, &sql];
    bench.run_unread(query, "").fails_with(1, gone);
    bench
        .run_unread(["shell", "sealed.db", "-i", key], &sql)
        .fails_with(1, gone);
    let left = bench.query(["--csv", "SELECT count(*) AS n FROM t"]).ok();
    assert_eq!(
        left.stdout, "n\r\n2\r\n",
        "the second statement did not run"
    );
    for args in [
        &["keygen"][..],
        &["keygen", "-o", "new.identity"],
        &["signing-key", "generate"],
        &["recipient", key],
        &["encrypt", "plain.db", "new.db", "-R", "me.recipient"],
        &["demo"],
    ] {
        bench.run_unread(args, "").fails_with(1, gone);
    }
    // What could not be told was done all the same, and can be asked for again.
    bench.run(["recipient", "new.identity"]).ok();
    bench.run(["verify", "new.db", "-i", key]).ok();
}
