//! `recipients` and `rekey`.

use serde_json::Value;

use crate::support::Bench;

/// A sealed, signed file for `me`; `you.identity` and `you.recipient` beside it.
fn bench() -> Bench {
    let bench = Bench::with_plain();
    let run = bench.run(["keygen", "-o", "you.identity"]).ok();
    bench.write("you.recipient", &run.stdout);
    let run = bench.run(["signing-key", "generate", "-o", "owner"]).ok();
    bench.write("owner.verify", &run.stdout);
    let encrypt = [
        "encrypt",
        "plain.db",
        "sealed.db",
        "-R",
        "me.recipient",
        "--sign-with",
        "owner",
    ];
    bench.run(encrypt).ok();
    bench
}

const MINE: [&str; 4] = ["-i", "me.identity", "--signed-by", "owner.verify"];
const YOURS: [&str; 4] = ["-i", "you.identity", "--signed-by", "owner.verify"];

fn with<'a>(args: &[&'a str], keys: &[&'a str]) -> Vec<&'a str> {
    [args, keys].concat()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

const ADD: [&str; 9] = [
    "recipients",
    "add",
    "sealed.db",
    "-R",
    "you.recipient",
    "--label",
    "you",
    "--sign-with",
    "owner",
];
const SELECT: [&str; 3] = ["query", "sealed.db", "SELECT b FROM t WHERE a = 2"];

#[test]
fn a_recipient_is_added_listed_and_removed() {
    let bench = bench();
    bench
        .run(with(&SELECT, &YOURS))
        .fails_with(3, "no key opens it");
    let run = bench.run(with(&ADD, &MINE)).ok();
    assert!(run.stdout.contains("added   #2"), "{run:?}");
    let list = bench
        .run(with(&["recipients", "list", "sealed.db"], &YOURS))
        .ok();
    let lines: Vec<_> = list.stdout.lines().collect();
    assert!(
        lines[0].starts_with("#1 ") && !lines[0].contains("yours"),
        "{list:?}"
    );
    assert!(
        lines[1].contains(" you ") && lines[1].contains(" yours "),
        "{list:?}"
    );
    let list = bench
        .run(with(&["recipients", "list", "sealed.db", "--json"], &MINE))
        .ok();
    let slots = json(&list.stdout);
    assert_eq!(
        slots["slots"][1]["recipient"],
        bench.read_text("you.recipient").trim_end()
    );
    assert_eq!(slots["slots"][0]["opened"], true);
    let run = bench.run(with(&SELECT, &YOURS)).ok();
    assert!(run.stdout.contains("two"));
    let remove = [
        "recipients",
        "remove",
        "sealed.db",
        "you",
        "--sign-with",
        "owner",
    ];
    let run = bench.run(with(&remove, &MINE)).ok();
    assert!(run.stdout.contains("removed #2"), "{run:?}");
    assert!(run.stderr.contains("zqlite rekey"), "{run:?}");
    bench
        .run(with(&SELECT, &YOURS))
        .fails_with(3, "no key opens it");
    bench
        .run(with(&remove, &MINE))
        .fails_with(1, "no slot is that of \"you\"");
    let last = [
        "recipients",
        "remove",
        "sealed.db",
        "#1",
        "--sign-with",
        "owner",
    ];
    bench
        .run(with(&last, &MINE))
        .fails_with(1, "the last slot cannot be removed");
}

#[test]
fn a_signed_file_is_changed_with_its_signing_key_only() {
    let bench = bench();
    let before = bench.read("sealed.db");
    bench
        .run(with(&ADD[..7], &MINE))
        .fails_with(1, "its signing key is needed");
    bench.run(["signing-key", "generate", "-o", "other"]).ok();
    let other = with(&ADD[..8], &["other"]);
    bench
        .run(with(&other, &MINE))
        .fails_with(1, "signed by another key");
    bench
        .run(with(&["rekey", "sealed.db"], &MINE))
        .fails_with(1, "its signing key is needed");
    assert!(before == bench.read("sealed.db"));
}

#[test]
fn a_rekey_says_what_it_did() {
    let bench = bench();
    bench.run(with(&ADD, &MINE)).ok();
    let rekey = ["rekey", "sealed.db", "--sign-with", "owner"];
    let run = bench.run(with(&rekey, &MINE)).ok();
    assert!(run.stdout.contains("epoch 2"), "{run:?}");
    let keep = ["--compromised", "--keep", "#1", "--json"];
    let run = bench.run(with(&with(&rekey, &keep), &MINE)).ok();
    let done = json(&run.stdout);
    assert_eq!(
        (&done["epoch"], &done["dropped"][0]["label"]),
        (&3.into(), &"you".into())
    );
    bench
        .run(with(&SELECT, &YOURS))
        .fails_with(3, "no key opens it");
    bench.run(with(&SELECT, &MINE)).ok();
    let verify = with(&["verify", "sealed.db", "--min-generation", "4"], &MINE);
    bench.run(verify).ok();
    bench
        .run(with(&["rekey", "sealed.db", "--compromised"], &MINE))
        .fails_with(2, "--keep");
    let nobody = with(&rekey, &["--compromised", "--keep", "nobody"]);
    bench
        .run(with(&nobody, &MINE))
        .fails_with(1, "no slot is that of \"nobody\"");
}
