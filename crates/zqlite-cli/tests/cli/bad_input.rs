//! Every wrong input: a typed error, the right status, no panic, nothing written.

use crate::support::Bench;

const COPY_LEN: usize = 65_536;
const HEADER_LEN: usize = 131_072;
/// Where the body, and in it the first slot, begins.
const BODY: usize = 128;
const FIRST_SLOT: usize = BODY + 2_024;

/// Opens `bad.db` with every command; each ends with `status` and says `says`, and nothing is written.
#[track_caller]
fn refused(bench: &Bench, key: [&str; 2], status: i32, says: &str) {
    let before = bench.snapshot();
    for args in [
        &["query", "bad.db", "SELECT count(*) FROM t"][..],
        &["query", "bad.db", "--write", "INSERT INTO t VALUES (0, 0)"],
        &["decrypt", "bad.db", "new.db"],
        &["verify", "bad.db"],
        &["shell", "bad.db"],
    ] {
        let args = args.iter().copied().chain(key);
        let run = bench.run_with_stdin(args, "SELECT count(*) FROM t;\n");
        run.fails_with(status, says);
        assert_eq!(bench.snapshot(), before);
    }
}

/// As [`refused`], and `inspect` agrees.
#[track_caller]
fn refused_and_seen(bench: &Bench, status: i32, says: &str) {
    refused(bench, ["-i", "me.identity"], status, says);
    bench.run(["inspect", "bad.db"]).fails_with(status, says);
    bench
        .run(["inspect", "bad.db", "--json"])
        .fails_with(status, says);
}

/// `bad.db`: `sealed.db` with bytes altered in both header copies.
fn alter_both_copies(bench: &Bench, offset: usize, bytes: &[u8]) {
    let mut file = bench.read("sealed.db");
    for copy in [0, COPY_LEN] {
        file[copy + offset..copy + offset + bytes.len()].copy_from_slice(bytes);
    }
    bench.write("bad.db", file);
}

#[test]
fn wrong_key_and_no_slot_for_this_key() {
    let bench = Bench::with_sealed();
    bench.write("bad.db", bench.read("sealed.db"));
    bench.run(["keygen", "-o", "other.identity"]).ok();
    bench.write("pass", "a passphrase");
    bench.write("raw", [1; 32]);
    refused(&bench, ["-i", "other.identity"], 3, "no key opens it");
    refused(&bench, ["--passphrase-file", "pass"], 3, "no key opens it");
    refused(&bench, ["--raw-key-file", "raw"], 3, "no key opens it");
}

#[test]
fn no_key_at_all_is_a_wrong_command_line() {
    let bench = Bench::with_sealed();
    for args in [
        &["query", "sealed.db", "SELECT 1"][..],
        &["decrypt", "sealed.db", "new.db"],
        &["verify", "sealed.db"],
        &["shell", "sealed.db"],
    ] {
        bench.run(args).fails_with(2, "--passphrase-file");
    }
    bench
        .run(["encrypt", "plain.db", "new.db"])
        .fails_with(2, "--recipients-file");
    assert!(!bench.path("new.db").exists());
}

#[test]
fn header_from_the_future() {
    let bench = Bench::with_sealed();
    alter_both_copies(&bench, 16, &[0, 2]);
    refused_and_seen(&bench, 1, "version 2");
    alter_both_copies(&bench, 18, &[0, 9]);
    refused_and_seen(&bench, 1, "suite 9");
}

#[test]
fn one_header_copy_destroyed() {
    let bench = Bench::with_sealed();
    let keys = ["-i", "me.identity"];
    for (start, name) in [(0, "A"), (COPY_LEN, "B")] {
        let mut file = bench.read("sealed.db");
        file[start..start + COPY_LEN].fill(0);
        bench.write("bad.db", &file);
        let query = ["query", "bad.db", "--csv", "SELECT count(*) AS n FROM t"];
        let run = bench.run(query.into_iter().chain(keys)).ok();
        assert_eq!(run.stdout, "n\r\n2\r\n");
        assert_eq!(bench.read("bad.db"), file, "a reader repairs nothing");
        let run = bench.run(["verify", "bad.db", "--json"].into_iter().chain(keys));
        let run = run.fails_with(4, &format!("copy {name}"));
        assert!(run.stdout.contains("\"ok\":false"), "{run:?}");
        bench
            .run(["inspect", "bad.db"])
            .fails_with(4, &format!("copy {name}"));
        // The next writer repairs it.
        let write = [
            "query",
            "bad.db",
            "--write",
            "INSERT INTO t VALUES (3, 'three')",
        ];
        bench.run(write.into_iter().chain(keys)).ok();
        bench.run(["verify", "bad.db"].into_iter().chain(keys)).ok();
    }
}

#[test]
fn both_header_copies_destroyed() {
    let bench = Bench::with_sealed();
    let mut file = bench.read("sealed.db");
    file[..HEADER_LEN].fill(0);
    bench.write("bad.db", &file);
    refused_and_seen(&bench, 1, "not a sealed database");
    // The beginning of a sealed file is still there.
    let mut file = bench.read("sealed.db");
    file[1_000..HEADER_LEN].fill(0);
    bench.write("bad.db", &file);
    refused_and_seen(&bench, 4, "altered or damaged");
    let mut file = bench.read("sealed.db");
    file[..COPY_LEN].fill(0);
    file[COPY_LEN + 200] ^= 1;
    file[COPY_LEN + BODY + 18] ^= 1;
    bench.write("bad.db", &file);
    refused_and_seen(&bench, 4, "altered or damaged");
}

#[test]
fn what_is_no_sealed_file() {
    let bench = Bench::with_sealed();
    bench.write("bad.db", bench.read("plain.db"));
    refused_and_seen(&bench, 1, "a plain SQLite");
    bench.write("bad.db", "");
    refused_and_seen(&bench, 1, "empty");
    bench.write("bad.db", "x");
    refused_and_seen(&bench, 1, "not a sealed database");
    bench.write("bad.db", vec![b'x'; 300_000]);
    refused_and_seen(&bench, 1, "not a sealed database");
    std::fs::remove_file(bench.path("bad.db")).unwrap();
    refused_and_seen(&bench, 1, "No such file");
    std::fs::create_dir(bench.path("bad.db")).unwrap();
    refused_and_seen(&bench, 1, "not a regular file");
}

#[test]
fn what_is_no_plain_database() {
    let bench = Bench::with_sealed();
    bench.write("empty.db", "");
    bench.write(
        "text.db",
        "just some text, long enough to look at".repeat(300),
    );
    std::fs::create_dir(bench.path("folder.db")).unwrap();
    let mut torn = bench.read("plain.db");
    torn.truncate(torn.len() / 2);
    torn[28..32].copy_from_slice(&9_u32.to_be_bytes());
    bench.write("torn.db", torn);
    let before = bench.snapshot();
    for name in [
        "empty.db",
        "text.db",
        "folder.db",
        "sealed.db",
        "missing.db",
        "torn.db",
    ] {
        let run = bench.run(["encrypt", name, "new.db", "-R", "me.recipient"]);
        assert!(matches!(run.status, 1 | 4), "{name}: {run:?}");
        assert!(run.stderr.starts_with("zqlite: "), "{name}: {run:?}");
        assert_eq!(bench.snapshot(), before, "{name}");
    }
}

#[test]
fn truncation() {
    let bench = Bench::with_sealed();
    let file = bench.read("sealed.db");
    bench.write("bad.db", &file[..HEADER_LEN]);
    refused_and_seen(&bench, 4, "altered or damaged");
    for len in [17, 128, COPY_LEN, HEADER_LEN - 1] {
        bench.write("bad.db", &file[..len]);
        refused(&bench, ["-i", "me.identity"], 4, "");
        bench.run(["inspect", "bad.db"]).fails_with(4, "");
    }
    for len in [HEADER_LEN + 100, file.len() - 1, file.len() - 4_096] {
        bench.write("bad.db", &file[..len]);
        let verify = ["verify", "bad.db", "-i", "me.identity"];
        bench.run(verify).fails_with(4, "");
    }
}

#[test]
fn fields_that_lie() {
    let bench = Bench::with_sealed();
    for (offset, bytes) in [
        (20, &u32::MAX.to_be_bytes()[..]),
        (20, &(2_024 + 2_528 * 23_u32).to_be_bytes()),
        (20, &2_024_u32.to_be_bytes()),
        (44, &[0xff, 0xff]),
        (BODY + 16, &5_000_u32.to_be_bytes()),
        (BODY + 16, &0_u32.to_be_bytes()),
        (BODY + 16, &131_072_u32.to_be_bytes()),
        (BODY + 64, &[0, 0]),
        (BODY + 64, &[0, 2]),
        (BODY + 64, &[0xff, 0xff]),
        (BODY + 66, &[0, 1]),
        (FIRST_SLOT, &[0, 9]),
        (FIRST_SLOT + 2, &[1]),
        (60_000, &[1]),
    ] {
        alter_both_copies(&bench, offset, bytes);
        refused_and_seen(&bench, 4, "altered or damaged");
    }
    // What only a key can tell: the MAC.
    alter_both_copies(&bench, 31, &[9]);
    refused(&bench, ["-i", "me.identity"], 4, "altered or damaged");
}

#[test]
fn argon2_parameters_above_the_ceiling() {
    let bench = Bench::with_plain();
    bench.write("pass", "a passphrase");
    bench
        .run([
            "encrypt",
            "plain.db",
            "sealed.db",
            "--passphrase-file",
            "pass",
        ])
        .ok();
    for (offset, value) in [
        (1_192, 1_048_577_u32),
        (1_192, u32::MAX),
        (1_196, 17),
        (1_200, 17),
        (1_192, 1),
    ] {
        alter_both_copies(&bench, FIRST_SLOT + offset, &value.to_be_bytes());
        refused(&bench, ["--passphrase-file", "pass"], 4, "Argon2id");
        bench.run(["inspect", "bad.db"]).fails_with(4, "Argon2id");
    }
}

#[test]
fn signatures_that_are_not_the_expected_one() {
    let bench = Bench::with_sealed();
    for name in ["owner", "other"] {
        let run = bench.run(["signing-key", "generate", "-o", name]).ok();
        bench.write(&format!("{name}.verify"), run.stdout);
    }
    let signed = [
        "encrypt",
        "plain.db",
        "bad.db",
        "-R",
        "me.recipient",
        "--sign-with",
        "owner",
    ];
    bench.run(signed).ok();
    let before = bench.snapshot();
    let wrong_id = format!("owner.verify@{}", "0".repeat(32));
    for (file, expected, says) in [
        ("bad.db", "other.verify", "sign"),
        ("bad.db", wrong_id.as_str(), "file"),
        ("sealed.db", "owner.verify", "not signed"),
    ] {
        for args in [
            &["query", file, "SELECT 1"][..],
            &["decrypt", file, "new.db"],
            &["verify", file],
            &["shell", file],
        ] {
            let keys = ["-i", "me.identity", "--signed-by", expected];
            bench
                .run(args.iter().copied().chain(keys))
                .fails_with(5, says);
            assert_eq!(bench.snapshot(), before);
        }
    }
    let query = |expected: &str| {
        bench.run([
            "query",
            "bad.db",
            "-i",
            "me.identity",
            "--signed-by",
            expected,
            "SELECT 1",
        ])
    };
    query("owner.verify").ok();
    query("zqlite-verify1qqq").fails_with(2, "--signed-by");
    query("zqlite-verify1qqq@12").fails_with(2, "32 hexadecimal digits");
    query("missing.verify").fails_with(1, "missing.verify");
}

#[test]
fn minimum_generation() {
    let bench = Bench::with_sealed();
    let verify = [
        "verify",
        "sealed.db",
        "-i",
        "me.identity",
        "--min-generation",
    ];
    bench.run(verify.into_iter().chain(["1"])).ok();
    bench
        .run(verify.into_iter().chain(["2"]))
        .fails_with(4, "generation 1 is older than 2");
    bench.run(verify.into_iter().chain(["x"])).fails_with(2, "");
}

#[test]
fn recipients_with_a_typo_and_classical_keys() {
    let bench = Bench::with_plain();
    let mut typo = bench.read_text("me.recipient").trim_end().to_owned();
    let last = if typo.pop() == Some('q') { 'p' } else { 'q' };
    typo.push(last);
    bench.write("typo", &typo);
    let classical = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    bench.write("classical", classical);
    let identity = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    bench.write("classical.identity", identity);
    let before = bench.snapshot();
    let encrypt = |flag, value: &str| bench.run(["encrypt", "plain.db", "new.db", flag, value]);
    encrypt("-r", &typo).fails_with(2, "mistyped");
    encrypt("-R", "typo")
        .fails_with(1, "line 1: ")
        .fails_with(1, "mistyped");
    encrypt("-r", classical).fails_with(2, "classical age recipient");
    encrypt("-R", "classical").fails_with(1, "classical age recipient");
    encrypt("-r", "me.recipient").fails_with(2, "--recipients-file");
    encrypt("-r", "").fails_with(2, "empty");
    bench
        .run(["recipient", "classical.identity"])
        .fails_with(1, "classical age identity");
    let query = ["query", "plain.db", "-i", "classical.identity", "SELECT 1"];
    bench.run(query).fails_with(1, "zqlite keygen");
    assert_eq!(bench.snapshot(), before);
}

#[test]
fn altered_pages() {
    let bench = Bench::with_sealed();
    let mut file = bench.read("sealed.db");
    let last = file.len() - 3_000;
    file[last] ^= 1;
    bench.write("bad.db", file);
    let before = bench.snapshot();
    let keys = ["-i", "me.identity"];
    for args in [
        &["query", "bad.db", "SELECT * FROM t"][..],
        &["decrypt", "bad.db", "new.db"],
        &["verify", "bad.db"],
    ] {
        bench
            .run(args.iter().copied().chain(keys))
            .fails_with(4, "");
        assert_eq!(bench.snapshot(), before);
    }
}
