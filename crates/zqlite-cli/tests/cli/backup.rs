//! `zqlite backup`

use crate::support::Bench;

const KEY: [&str; 2] = ["-i", "me.identity"];

#[test]
fn a_backup_opens_with_the_same_key_and_says_what_it_is() {
    let bench = Bench::with_sealed();
    let args = ["backup", "sealed.db", "app.backup"];
    let run = bench.run([&args[..], &KEY].concat()).ok();
    assert!(run.stdout.starts_with("backed up app.backup: "), "{run:?}");
    assert_eq!(bench.read("app.backup"), bench.read("sealed.db"));
    bench
        .run([&args[..], &KEY].concat())
        .fails_with(1, "exists already");
    bench
        .run([&args[..], &KEY, &["--force", "-q"]].concat())
        .ok();
    bench
        .run([&["verify", "app.backup"][..], &KEY].concat())
        .ok();
    bench
        .run([&["backup", "sealed.db", "sealed.db", "--force"][..], &KEY].concat())
        .fails_with(1, "two different files");
}

#[test]
fn a_backup_for_others_opens_with_their_key_alone() {
    let bench = Bench::with_sealed();
    let run = bench.run(["keygen", "-o", "vault.identity"]).ok();
    bench.write("vault.recipient", &run.stdout);
    let args = [
        "backup",
        "sealed.db",
        "vault.backup",
        "-R",
        "vault.recipient",
    ];
    bench.run([&args[..], &KEY].concat()).ok();
    let query = ["query", "vault.backup", "SELECT count(*) FROM t", "--csv"];
    bench
        .run([&query[..], &KEY].concat())
        .fails_with(3, "no key opens it");
    let run = bench
        .run([&query[..], &["-i", "vault.identity"]].concat())
        .ok();
    assert_eq!(run.last_line(), "2");
}

#[test]
fn a_backup_without_a_key_or_of_a_damaged_file_leaves_nothing() {
    let bench = Bench::with_sealed();
    bench.run(["keygen", "-o", "other.identity"]).ok();
    let before = bench.names();
    let args = ["backup", "sealed.db", "app.backup"];
    bench
        .run([&args[..], &["-i", "other.identity"]].concat())
        .fails_with(3, "no key opens it");
    let mut bytes = bench.read("sealed.db");
    bytes[131_072 + 4_096 + 9] ^= 1;
    bench.write("sealed.db", bytes);
    bench
        .run([&args[..], &KEY].concat())
        .fails_with(4, "page 2 does not open");
    assert_eq!(bench.names(), before);
}
