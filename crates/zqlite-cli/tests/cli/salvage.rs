//! `zqlite salvage`

use crate::support::Bench;

/// A sealed file whose table `t` lost a page.
fn bench() -> Bench {
    let bench = Bench::with_plain();
    bench.database(
        "rows.db",
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200)
         INSERT INTO t SELECT x, hex(randomblob(100)) FROM n;
         CREATE TABLE u(x); INSERT INTO u VALUES ('kept');",
    );
    let args = ["encrypt", "rows.db", "rows.sealed", "-R", "me.recipient"];
    bench.run(args).ok();
    let mut bytes = bench.read("rows.sealed");
    bytes[131_072 + 4 * 4_096 + 77] ^= 1;
    bench.write("damaged.sealed", bytes);
    bench
}

const KEY: [&str; 2] = ["-i", "me.identity"];

#[test]
fn salvage_names_what_is_lost_and_ends_with_status_4() {
    let bench = bench();
    let damaged = bench.read("damaged.sealed");
    let args = ["salvage", "damaged.sealed", "saved.sealed"];
    let run = bench
        .run([&args[..], &KEY].concat())
        .fails_with(4, "not all was saved");
    assert!(run.stdout.contains("bad pages   1: 5"), "{run:?}");
    assert!(
        run.stdout.contains("t: ") && run.stdout.contains("LOST pages 5"),
        "{run:?}"
    );
    assert!(run.stdout.contains("u: 1 rows\n"), "{run:?}");
    assert_eq!(bench.read("damaged.sealed"), damaged);
    bench
        .run([&["verify", "saved.sealed"][..], &KEY].concat())
        .ok();
    let query = ["query", "saved.sealed", "SELECT x FROM u", "--csv"];
    assert_eq!(
        bench.run([&query[..], &KEY].concat()).ok().last_line(),
        "kept"
    );
}

#[test]
fn salvage_of_a_whole_file_ends_with_status_0() {
    let bench = bench();
    let args = ["salvage", "rows.sealed", "saved.sealed", "--json"];
    let run = bench.run([&args[..], &KEY].concat()).ok();
    assert!(run.stdout.starts_with("{\"complete\":true,"), "{run:?}");
    // What is there stays.
    bench
        .run([&args[..], &KEY].concat())
        .fails_with(1, "exists already");
    bench.run([&args[..], &KEY, &["--force"]].concat()).ok();
}

#[test]
fn salvage_without_page_1_or_without_a_key_leaves_nothing() {
    let bench = bench();
    let mut bytes = bench.read("rows.sealed");
    bytes[131_072 + 77] ^= 1;
    bench.write("damaged.sealed", bytes);
    let before = bench.names();
    let args = ["salvage", "damaged.sealed", "saved.sealed"];
    bench
        .run([&args[..], &KEY].concat())
        .fails_with(4, "page 1 does not open");
    bench.run(["keygen", "-o", "other.identity"]).ok();
    bench
        .run([&args[..], &["-i", "other.identity"]].concat())
        .fails_with(3, "no key opens it");
    std::fs::remove_file(bench.path("other.identity")).unwrap();
    assert_eq!(bench.names(), before);
}

#[test]
fn salvage_seals_to_whom_it_is_told() {
    let bench = bench();
    bench.write("secret.txt", "a passphrase\n");
    let args = [
        "salvage",
        "damaged.sealed",
        "saved.sealed",
        "--new-passphrase-file",
        "secret.txt",
    ];
    bench
        .run([&args[..], &KEY].concat())
        .fails_with(4, "not all was saved");
    let query = [
        "query",
        "saved.sealed",
        "SELECT count(*) > 100 FROM t",
        "--csv",
    ];
    bench
        .run([&query[..], &KEY].concat())
        .fails_with(3, "no key opens it");
    let run = bench
        .run([&query[..], &["--passphrase-file", "secret.txt"]].concat())
        .ok();
    assert_eq!(run.last_line(), "1");
    // A passphrase of the damaged file cannot be taken over.
    let args = [
        "salvage",
        "saved.sealed",
        "again.sealed",
        "--passphrase-file",
        "secret.txt",
    ];
    bench.run(args).fails_with(1, "no slot for a recipient");
}
