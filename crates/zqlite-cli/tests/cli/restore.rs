//! `zqlite backup --sign-with` and `zqlite restore`.

use crate::support::Bench;

const KEY: [&str; 2] = ["-i", "me.identity"];
const RESTORE: [&str; 7] = [
    "restore",
    "app.backup",
    "restored.db",
    "--seal",
    "app.backup.seal",
    "--signed-by",
    "owner.verify",
];

/// `app.backup` of `sealed.db`, with a seal.
fn bench() -> Bench {
    let bench = Bench::with_sealed();
    let run = bench.run(["signing-key", "generate", "-o", "owner"]).ok();
    bench.write("owner.verify", &run.stdout);
    let args = ["backup", "sealed.db", "app.backup", "--sign-with", "owner"];
    bench.run([&args[..], &KEY].concat()).ok();
    bench
}

#[test]
fn a_sealed_backup_is_restored_without_a_key() {
    let bench = bench();
    std::fs::remove_file(bench.path("me.identity")).unwrap();
    bench.run(RESTORE).ok();
    assert_eq!(bench.read("restored.db"), bench.read("app.backup"));
    assert_eq!(bench.read("restored.db"), bench.read("sealed.db"));
}

#[test]
fn a_backup_in_which_any_part_was_altered_is_not_restored() {
    let bench = bench();
    let (backup, seal) = (bench.read("app.backup"), bench.read("app.backup.seal"));
    let names = bench.names();
    let mut refused = 0;
    for at in (0..backup.len()).step_by(7_919).chain([backup.len() - 1]) {
        let mut altered = backup.clone();
        altered[at] ^= 1;
        bench.write("app.backup", altered);
        let run = bench.run(RESTORE);
        assert_eq!(run.status, 4, "byte {at}: {run:?}");
        refused += 1;
    }
    let older = [&backup[..], &[0; 4_096]].concat();
    for altered in [&backup[..backup.len() - 4_096], &backup[..100], b"", &older] {
        bench.write("app.backup", altered);
        assert_ne!(bench.run(RESTORE).status, 0);
        refused += 1;
    }
    assert!(refused > 20, "{refused}");
    bench.write("app.backup", &backup);
    for at in (0..seal.len()).step_by(97) {
        let mut altered = seal.clone();
        altered[at] ^= 1;
        bench.write("app.backup.seal", altered);
        assert_ne!(bench.run(RESTORE).status, 0, "byte {at} of the seal");
    }
    bench.write("app.backup.seal", &seal);
    assert_eq!(bench.names(), names, "something was put in place");
    bench.run(RESTORE).ok();
}

#[test]
fn a_backup_that_somebody_else_sealed_is_not_restored() {
    let bench = bench();
    let run = bench.run(["signing-key", "generate", "-o", "other"]).ok();
    bench.write("owner.verify", &run.stdout);
    bench.run(RESTORE).fails_with(5, "");
    assert!(!bench.path("restored.db").exists());
}

#[test]
fn what_is_there_is_replaced_only_by_force_and_without_its_log() {
    let bench = bench();
    bench.write("restored.db", "old");
    for suffix in ["-wal", "-journal", "-shm", "-rekey"] {
        bench.write(&format!("restored.db{suffix}"), "old");
    }
    bench.run(RESTORE).fails_with(1, "exists already");
    assert_eq!(bench.read("restored.db"), b"old");
    bench.run([&RESTORE[..], &["--force"]].concat()).ok();
    assert_eq!(bench.read("restored.db"), bench.read("app.backup"));
    let left = bench.names();
    let left: Vec<_> = left
        .iter()
        .filter(|name| name.contains("restored"))
        .collect();
    assert_eq!(left, ["restored.db"]);
    bench
        .run([&["verify", "restored.db"][..], &KEY].concat())
        .ok();
}

#[test]
fn a_backup_for_others_has_a_seal_and_a_signed_header() {
    let bench = bench();
    let run = bench.run(["keygen", "-o", "vault.identity"]).ok();
    bench.write("vault.recipient", &run.stdout);
    let args = [
        "backup",
        "sealed.db",
        "app.backup",
        "-R",
        "vault.recipient",
        "--sign-with",
        "owner",
        "--force",
    ];
    bench.run([&args[..], &KEY].concat()).ok();
    bench.run(RESTORE).ok();
    bench
        .run([
            "verify",
            "restored.db",
            "-i",
            "vault.identity",
            "--signed-by",
            "owner.verify",
        ])
        .ok();
    bench
        .run([&["verify", "restored.db"][..], &KEY].concat())
        .fails_with(3, "no key opens it");
}
