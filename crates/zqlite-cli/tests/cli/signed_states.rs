//! `seal`, `verify --seal`, `proof` and `--anchor`.

use std::fs;

use serde_json::Value;

use crate::support::Bench;

/// With `owner.signing-key`, `owner.verify` and the seal of `sealed.db`.
fn bench() -> Bench {
    let bench = Bench::with_sealed();
    for name in ["owner", "other"] {
        let key = format!("{name}.signing-key");
        let run = bench.run(["signing-key", "generate", "-o", &key]).ok();
        bench.write(&format!("{name}.verify"), &run.stdout);
    }
    bench.run(SEAL).ok();
    bench
}

const SEAL: [&str; 6] = [
    "seal",
    "sealed.db",
    "-i",
    "me.identity",
    "--sign-with",
    "owner.signing-key",
];
const VERIFY: [&str; 6] = [
    "verify",
    "sealed.db",
    "--seal",
    "sealed.db.seal",
    "--signed-by",
    "owner.verify",
];
const CHECK: [&str; 7] = [
    "proof",
    "--check",
    "page.proof",
    "--seal",
    "sealed.db.seal",
    "--signed-by",
    "owner.verify",
];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_sealed_state_is_verified_without_a_key_until_the_file_changes() {
    let bench = bench();
    let run = bench.run(VERIFY).ok();
    assert_eq!(
        run.last_line(),
        "verdict     every byte is as it was sealed"
    );
    assert_eq!(run.stderr, "", "no key was asked for, and none is missing");
    let run = bench.run(VERIFY.iter().chain(&["--json"])).ok();
    let report = json(&run.stdout);
    assert_eq!(report["ok"], true);
    assert_eq!(report["pages"].as_u64(), Some(2));
    bench
        .query(["--write", "INSERT INTO t VALUES (3, 'three')"])
        .ok();
    let run = bench.run(VERIFY).fails_with(4, "not the sealed state");
    assert_eq!(run.stdout, "");
    let run = bench
        .run(VERIFY.iter().chain(&["--json"]))
        .fails_with(4, "");
    assert_eq!(json(&run.stdout)["ok"], false);
    // Sealed anew: only when it is asked for.
    bench.run(SEAL).fails_with(1, "exists already");
    let run = bench.run(SEAL.iter().chain(&["--force", "--json"])).ok();
    assert_eq!(json(&run.stdout)["seal"], "sealed.db.seal");
    bench.run(VERIFY).ok();
}

#[test]
fn another_signers_seal_is_status_5_and_what_is_no_seal_status_4() {
    let bench = bench();
    let with = |seal: &str, key: &str| {
        bench.run(["verify", "sealed.db", "--seal", seal, "--signed-by", key])
    };
    with("sealed.db.seal", "other.verify").fails_with(5, "signed by another key");
    with(
        "sealed.db.seal",
        "owner.verify@00000000000000000000000000000000",
    )
    .fails_with(5, "about another file");
    with("plain.db", "owner.verify").fails_with(4, "plain.db: ");
    with("me.recipient", "owner.verify").fails_with(4, "not a seal");
    with("missing.seal", "owner.verify").fails_with(1, "missing.seal");
    with("sealed.db.seal", "owner.verify").ok();
    for args in [
        vec!["verify", "sealed.db", "--seal", "sealed.db.seal"],
        [&VERIFY[..], &["-i", "me.identity"]].concat(),
        [&VERIFY[..], &["--min-generation", "1"]].concat(),
    ] {
        bench.run(args).fails_with(2, "");
    }
}

#[test]
fn a_page_is_proved_and_the_proof_checked_with_nothing_but_the_seal_and_the_verifying_key() {
    let bench = bench();
    let make = [
        "proof",
        "sealed.db",
        "--seal",
        "sealed.db.seal",
        "--page",
        "2",
    ];
    let run = bench.run(make.iter().chain(&["-o", "page.proof"])).ok();
    assert!(run.stdout.contains("page 2"), "{run:?}");
    let page = &bench.read("sealed.db")[131_072 + 4_096..][..4_096];
    assert_eq!(&bench.read("page.proof")[64..][..4_096], page);
    fs::remove_file(bench.path("sealed.db")).unwrap();
    fs::remove_file(bench.path("me.identity")).unwrap();
    let run = bench.run(CHECK).ok();
    assert!(run.stdout.starts_with("page 2 of 2 belongs"), "{run:?}");
    let run = bench.run(CHECK.iter().chain(&["--json"])).ok();
    assert_eq!(json(&run.stdout)["page"].as_u64(), Some(2));
    let mut proof = bench.read("page.proof");
    proof[64] ^= 1;
    bench.write("page.proof", &proof);
    bench.run(CHECK).fails_with(4, "does not lead to the root");
    proof[0] ^= 1;
    bench.write("page.proof", &proof);
    bench.run(CHECK).fails_with(4, "not a proof");
}

#[test]
fn proofs_are_asked_for_in_one_way_or_the_other() {
    let bench = bench();
    let make = ["proof", "sealed.db", "--seal", "sealed.db.seal"];
    for more in [
        vec![],
        vec!["--page", "1"],
        vec!["-o", "page.proof"],
        vec!["--page", "1", "-o", "p", "--check", "page.proof"],
    ] {
        bench.run(make.iter().chain(&more)).fails_with(2, "");
    }
    bench
        .run(make.iter().chain(&["--page", "3", "-o", "page.proof"]))
        .fails_with(4, "there is no page 3");
    bench
        .run(make.iter().chain(&[
            "--page",
            "1",
            "-o",
            "page.proof",
            "--signed-by",
            "other.verify",
        ]))
        .fails_with(5, "another key");
    bench
        .run(["proof", "--check", "page.proof", "--seal", "sealed.db.seal"])
        .fails_with(2, "");
    assert!(!bench.names().iter().any(|name| name.contains("page.proof")));
}

#[test]
fn what_cannot_be_sealed_leaves_nothing_behind() {
    let bench = bench();
    let before = bench.names();
    let more = ["-o", "new.seal"];
    let mut bytes = bench.read("sealed.db");
    bytes[131_072 + 5_000] ^= 1;
    bench.write("sealed.db", &bytes);
    bench
        .run(SEAL.iter().chain(&more))
        .fails_with(4, "page 2 does not open");
    bench
        .run([
            "seal",
            "sealed.db",
            "--sign-with",
            "owner.signing-key",
            "--raw-key-file",
            "owner.verify",
            "-o",
            "new.seal",
        ])
        .fails_with(1, "raw key");
    bench
        .run(SEAL.iter().chain(&["-o", "sealed.db", "--force"]))
        .fails_with(1, "the database itself");
    assert_eq!(bench.read("sealed.db"), bytes);
    assert_eq!(bench.names(), before);
}

#[test]
fn an_anchor_refuses_the_older_header_for_every_command_that_opens_the_file() {
    let bench = bench();
    let older = bench.read("sealed.db");
    let more = ["-i", "me.identity", "--anchor", "anchor"];
    let commands: [&[&str]; 4] = [
        &["query", "sealed.db", "SELECT count(*) FROM t"],
        &["verify", "sealed.db"],
        &["decrypt", "sealed.db", "copy.db", "--force"],
        &["shell", "sealed.db"],
    ];
    for command in commands {
        bench.run(command.iter().chain(&more)).ok();
    }
    // An older header, as of before an act of the owner: one with a higher generation was seen.
    let mut anchor = bench.read("anchor");
    let generation = 24 + 16 + 7;
    assert_eq!(anchor[generation], 1);
    anchor[generation] = 2;
    bench.write("anchor", &anchor);
    for command in commands {
        bench
            .run(command.iter().chain(&more))
            .fails_with(4, "an old copy of the header");
    }
    assert_eq!(
        bench.read("anchor"),
        anchor,
        "what is older is not remembered"
    );
    assert_eq!(bench.read("sealed.db"), older);
    bench.query(["SELECT 1"]).ok();
    bench.write("anchor", "nonsense");
    bench
        .run(commands[0].iter().chain(&more))
        .fails_with(4, "no anchor");
}

#[test]
fn several_processes_share_an_anchor() {
    let bench = bench();
    let query = [
        "query",
        "sealed.db",
        "-i",
        "me.identity",
        "--anchor",
        "anchor",
        "SELECT count(*) FROM t",
    ];
    let children: Vec<_> = (0..8)
        .map(|_| bench.command(query).spawn().unwrap())
        .collect();
    for child in children {
        let run = crate::support::Run::new(child.wait_with_output().unwrap()).ok();
        assert_eq!(run.last_line().trim(), "2");
    }
    assert_eq!(bench.read("anchor").len(), 24 + 64, "one file was seen");
    assert!(!bench.names().contains(&"anchor.new".to_owned()));
}
