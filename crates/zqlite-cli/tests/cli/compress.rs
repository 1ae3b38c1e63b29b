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
