//! `query`: what is printed, and what may be done.

use std::process::Stdio;

use crate::support::{Bench, Run};

const VALUES: &str = "SELECT 9007199254740993 AS i, 0.1 AS r, NULL AS n, x'00ff' AS b, 'é,\"' AS t";

#[test]
fn tables_are_the_default() {
    let bench = Bench::with_sealed();
    let run = bench.query(["SELECT * FROM t"]).ok();
    assert_eq!(run.stdout, "a  b\n-  ---\n1  one\n2  two\n");
    assert_eq!(
        bench.query(["--table", "SELECT * FROM t"]).ok().stdout,
        run.stdout
    );
}

#[test]
fn json_is_one_array_for_each_statement() {
    let bench = Bench::with_sealed();
    let run = bench.query(["--json", VALUES]).ok();
    assert_eq!(
        run.stdout,
        "[{\"i\":9007199254740993,\"r\":0.1,\"n\":null,\"b\":\"00ff\",\"t\":\"é,\\\"\"}]\n"
    );
    let run = bench
        .query([
            "--json",
            "SELECT 1 AS a; SELECT a FROM t WHERE 0; SELECT a FROM t",
        ])
        .ok();
    assert_eq!(run.stdout, "[{\"a\":1}]\n[]\n[{\"a\":1},{\"a\":2}]\n");
}

#[test]
fn csv_has_a_header_and_quotes() {
    let bench = Bench::with_sealed();
    let run = bench.query(["--csv", VALUES]).ok();
    assert_eq!(
        run.stdout,
        "i,r,n,b,t\r\n9007199254740993,0.1,,x'00ff',\"é,\"\"\"\r\n"
    );
    bench
        .query(["--csv", "--json", "SELECT 1"])
        .fails_with(2, "cannot be used with");
}

#[test]
fn sql_comes_from_stdin_too() {
    let bench = Bench::with_sealed();
    let args = ["query", "sealed.db", "-i", "me.identity", "--json"];
    for args in [&args[..], &[&args[..], &["-"]].concat()] {
        let run = bench
            .run_with_stdin(args, "SELECT 1 AS a;\nSELECT 2 AS a\n")
            .ok();
        assert_eq!(run.stdout, "[{\"a\":1}]\n[{\"a\":2}]\n");
    }
    let identity = bench.read("me.identity");
    let run = bench.run_with_stdin(["query", "sealed.db", "-i", "-", "SELECT 1"], &identity);
    run.ok();
    let run = bench.run_with_stdin(["query", "sealed.db", "-i", "-", "-"], &identity);
    run.fails_with(2, "only once");
}

#[test]
fn nothing_is_changed_without_write() {
    let bench = Bench::with_sealed();
    let before = bench.read("sealed.db");
    bench.query(["DELETE FROM t"]).fails_with(1, "--write");
    bench.query(["CREATE TABLE u(x)"]).fails_with(1, "--write");
    assert_eq!(bench.read("sealed.db"), before);
    bench
        .query(["--write", "INSERT INTO t VALUES (3, 'three'); SELECT 1"])
        .ok();
    let run = bench.query(["--csv", "SELECT count(*) AS n FROM t"]).ok();
    assert_eq!(run.stdout, "n\r\n3\r\n");
}

#[test]
fn what_was_printed_before_an_error_stays() {
    let bench = Bench::with_sealed();
    let run = bench.query(["--csv", "SELECT 1 AS a; SELECT * FROM missing"]);
    let run = run.fails_with(1, "no such table: missing");
    assert_eq!(run.stdout, "a\r\n1\r\n");
    bench.query(["SELEC 1"]).fails_with(1, "syntax error");
}

#[test]
fn a_missing_maker_is_warned_about() {
    let bench = Bench::with_plain();
    let verifying_key = bench
        .run(["signing-key", "generate", "-o", "owner"])
        .ok()
        .stdout;
    bench.write("owner.verify", &verifying_key);
    let args = [
        "encrypt",
        "plain.db",
        "sealed.db",
        "-R",
        "me.recipient",
        "--sign-with",
        "owner",
    ];
    let run = bench.run(args).ok();
    let file_id = run
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("file id: "))
        .unwrap();
    assert!(
        bench
            .query(["SELECT 1"])
            .ok()
            .stderr
            .contains("--signed-by")
    );
    assert_eq!(bench.query(["-q", "SELECT 1"]).ok().stderr, "");
    let text = verifying_key.trim_end();
    for expected in [
        "owner.verify".to_owned(),
        text.to_owned(),
        format!("owner.verify@{file_id}"),
        format!("{text}@{file_id}"),
    ] {
        assert_eq!(
            bench
                .query(["--signed-by", &expected, "SELECT 1"])
                .ok()
                .stderr,
            ""
        );
    }
}

#[test]
fn passphrases_and_raw_keys_open_too() {
    let bench = Bench::with_plain();
    bench.write("pass", "correct horse\n");
    bench.write("pass-bare", "correct horse");
    bench.write("wrong", "incorrect horse\n");
    bench.write("raw", [7; 32]);
    bench.write("raw-hex", format!("{}\n", "07".repeat(32)));
    bench.write("raw-wrong", [8; 32]);
    bench
        .run([
            "encrypt",
            "plain.db",
            "sealed.db",
            "--passphrase-file",
            "pass",
            "--raw-key-file",
            "raw",
            "-R",
            "me.recipient",
        ])
        .ok();
    let query = |flag, file| bench.run(["query", "sealed.db", flag, file, "SELECT * FROM t"]);
    query("--passphrase-file", "pass").ok();
    query("--passphrase-file", "pass-bare").ok();
    query("--raw-key-file", "raw").ok();
    query("--raw-key-file", "raw-hex").ok();
    query("-i", "me.identity").ok();
    query("--passphrase-file", "wrong").fails_with(3, "no key opens it");
    query("--raw-key-file", "raw-wrong").fails_with(3, "no key opens it");
    let run = bench.run(["inspect", "sealed.db", "--json"]).ok();
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let slots = report["slots"].as_array().unwrap();
    let kinds: Vec<_> = slots
        .iter()
        .map(|slot| slot["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["recipient", "passphrase", "raw key"]);
    assert_eq!(slots[1]["argon2id"]["memory_kib"], 65_536);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bench = Bench::with_sealed();
    let sql = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 200000) SELECT n FROM c";
    let mut child = bench
        .command([
            "query",
            "sealed.db",
            "-q",
            "-i",
            "me.identity",
            "--csv",
            sql,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let run = Run::new(child.wait_with_output().unwrap()).ok();
    assert_eq!(run.stderr, "");
}
