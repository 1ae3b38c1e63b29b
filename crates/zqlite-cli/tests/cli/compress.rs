//! `zqlite compress` and `zqlite decompress`

use crate::support::Bench;

const KEY: [&str; 2] = ["-i", "me.identity"];

/// `sealed.db` with rows that are alike.
fn with_rows() -> Bench {
    let bench = Bench::with_sealed();
    let fill = "CREATE TABLE peer(id INTEGER PRIMARY KEY, meta TEXT, d DEFAULT 1); \
                WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 500) \
                INSERT INTO peer SELECT x, json_object('host', 'host-' || x || '.example.org', 'os', 'linux'), x FROM n";
    bench.query(["--write", fill]).ok();
    bench
}

fn zqlite(bench: &Bench, args: &[&str]) -> crate::support::Run {
    bench.run([args, &KEY].concat())
}

const SUM: &str = "SELECT count(*), sum(length(meta)), max(meta) FROM peer";

#[test]
fn a_column_is_compressed_retrained_listed_and_made_plain_again() {
    let bench = with_rows();
    let before = bench.query(["--csv", SUM]).ok().stdout;
    let run = zqlite(
        &bench,
        &[
            "compress",
            "sealed.db",
            "peer",
            "meta",
            "--null-takes-default",
        ],
    )
    .ok();
    assert!(run.stdout.starts_with("compressed peer.meta: "), "{run:?}");
    assert!(run.stdout.contains(" % less"), "{run:?}");
    assert_eq!(bench.query(["--csv", SUM]).ok().stdout, before);
    let run = zqlite(&bench, &["compress", "sealed.db", "--list", "--json"]).ok();
    let listed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(listed[0]["base"], "peer_zqlite_rows");
    let retrain = ["compress", "sealed.db", "peer", "meta", "--retrain"];
    let run = zqlite(&bench, &[&retrain[..], &["--new-rows-only"]].concat()).ok();
    assert!(
        run.stdout.contains("version 2 of the dictionary"),
        "{run:?}"
    );
    let run = zqlite(&bench, &[&retrain[..], &["--json"]].concat()).ok();
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&report["version"], &report["dropped"]),
        (&3.into(), &2.into())
    );
    assert_eq!(bench.query(["--csv", SUM]).ok().stdout, before);
    let run = zqlite(&bench, &["decompress", "sealed.db", "peer", "meta"]).ok();
    assert_eq!(run.last_line(), "decompressed peer.meta: 500 rows");
    assert_eq!(bench.query(["--csv", SUM]).ok().stdout, before);
    zqlite(&bench, &["verify", "sealed.db"]).ok();
}

#[test]
fn what_is_in_the_way_is_named_and_nothing_has_changed() {
    let bench = with_rows();
    let before = bench.read("sealed.db");
    for (args, status, says) in [
        (
            &["peer", "meta"][..],
            1,
            "peer.meta: the column d has a default",
        ),
        (&["peer", "id"], 1, "PRIMARY"),
        (&["nothing", "meta"], 1, "there is no such table"),
        (&["peer", "meta", "--retrain"], 1, "it is not compressed"),
        (&["peer", "meta", "--level", "20"], 2, "20 is not in 1..=19"),
        (&["peer"], 2, "<COLUMN>"),
    ] {
        zqlite(&bench, &[&["compress", "sealed.db"], args].concat()).fails_with(status, says);
    }
    zqlite(&bench, &["decompress", "sealed.db", "peer", "meta"])
        .fails_with(1, "it is not compressed");
    assert_eq!(bench.read("sealed.db"), before);
}

#[test]
fn a_database_with_a_compressed_column_is_decrypted_and_sealed_again() {
    let bench = with_rows();
    let before = bench.query(["--csv", SUM]).ok().stdout;
    let compress = [
        "compress",
        "sealed.db",
        "peer",
        "meta",
        "--null-takes-default",
    ];
    zqlite(&bench, &compress).ok();
    zqlite(&bench, &["decrypt", "sealed.db", "again.db"]).ok();
    bench
        .run([
            "encrypt",
            "again.db",
            "sealed.db",
            "-R",
            "me.recipient",
            "--force",
        ])
        .ok();
    assert_eq!(bench.query(["--csv", SUM]).ok().stdout, before);
    zqlite(&bench, &["decompress", "sealed.db", "peer", "meta"]).ok();
    assert_eq!(bench.query(["--csv", SUM]).ok().stdout, before);
}

/// Tables that are unlike: without a rowid, with names that need quotes, with two columns to compress.
const UNLIKE: &str = "CREATE TABLE \"a \"\"table\"\"\"(\"the key\" TEXT, n INT, \"it's meta\" TEXT, \"-more\" BLOB, \
    PRIMARY KEY(n, \"the key\")) WITHOUT ROWID; CREATE INDEX \"by; n\" ON \"a \"\"table\"\"\"(n DESC); \
    WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000) INSERT INTO \"a \"\"table\"\"\" \
    SELECT 'k' || x, x % 7, json_object('host', 'host-' || x || '.example.org', 'os', 'linux'), \
    CAST('the same words ' || x || ' as everywhere' AS BLOB) FROM c;";
const NAME: &str = "a \"table\"";
const UNLIKE_SUM: &str = "SELECT count(*), sum(n), max(\"it's meta\"), min(CAST(\"-more\" AS TEXT)), count(DISTINCT typeof(\"-more\")) FROM \"a \"\"table\"\"\"";

#[test]
fn tables_without_rowid_and_names_that_need_quotes_go_there_and_back() {
    let bench = Bench::with_sealed();
    bench.query(["--write", UNLIKE]).ok();
    let schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY name";
    let state = || {
        let of = |sql| bench.query(["--csv", sql]).ok().stdout;
        (of(UNLIKE_SUM), of(schema))
    };
    let before = state();
    for column in ["it's meta", "-more"] {
        let run = zqlite(&bench, &["compress", "sealed.db", "--", NAME, column]);
        // Keys stand before the names.
        run.fails_with(2, "");
        let args = [
            "compress",
            "sealed.db",
            "--json",
            "-i",
            "me.identity",
            "--",
            NAME,
            column,
        ];
        let report: serde_json::Value = serde_json::from_str(&bench.run(args).ok().stdout).unwrap();
        assert_eq!(report["rows"], 3000, "{column}");
        assert!(report["stored_bytes"].as_u64() < report["plain_bytes"].as_u64());
        assert_eq!(state().0, before.0);
    }
    bench.query(["--write", "VACUUM"]).ok();
    let args = [
        "compress",
        "sealed.db",
        "--retrain",
        "-i",
        "me.identity",
        "--",
        NAME,
        "-more",
    ];
    bench.run(args).ok();
    assert_eq!(state().0, before.0);
    // A dump is the whole database, and is read back.
    let dump = bench
        .run_with_stdin(["shell", "sealed.db", "-i", "me.identity"], ".dump\n")
        .ok();
    bench.database("empty.db", "PRAGMA user_version = 1");
    bench
        .run(["encrypt", "empty.db", "copy.db", "-R", "me.recipient"])
        .ok();
    let args = [
        "shell",
        "copy.db",
        "-i",
        "me.identity",
        "--allow-schema-writes",
    ];
    bench.run_with_stdin(args, &dump.stdout).ok();
    let copied = bench.run(["query", "copy.db", "-i", "me.identity", "--csv", UNLIKE_SUM]);
    assert_eq!(copied.ok().stdout, before.0);
    for column in ["-more", "it's meta"] {
        let args = [
            "decompress",
            "sealed.db",
            "-q",
            "-i",
            "me.identity",
            "--",
            NAME,
            column,
        ];
        assert_eq!(bench.run(args).ok().stdout, "");
    }
    assert_eq!(state(), before);
    zqlite(&bench, &["verify", "sealed.db"]).ok();
}

#[test]
fn retraining_keeps_the_level_unless_another_is_asked_for() {
    let bench = with_rows();
    let nulls = "--null-takes-default";
    zqlite(
        &bench,
        &[
            "compress",
            "sealed.db",
            "peer",
            "meta",
            nulls,
            "--level",
            "9",
        ],
    )
    .ok();
    let level = || {
        let run = zqlite(&bench, &["compress", "sealed.db", "--list", "--json"]).ok();
        let listed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        listed[0]["level"].as_i64().unwrap()
    };
    assert_eq!(level(), 9);
    let retrain = ["compress", "sealed.db", "peer", "meta", "--retrain"];
    zqlite(&bench, &retrain).ok();
    assert_eq!(level(), 9);
    zqlite(&bench, &[&retrain[..], &["--level", "2"]].concat()).ok();
    assert_eq!(level(), 2);
    let newest = "SELECT level FROM zqlite_dictionaries ORDER BY version DESC LIMIT 1";
    assert_eq!(bench.query(["--csv", newest]).ok().last_line(), "2");
    zqlite(&bench, &["compress", "sealed.db", "--list", "--level", "2"]).fails_with(2, "--level");
}
