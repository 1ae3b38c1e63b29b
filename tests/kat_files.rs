//! Every vendored known-answer file, through the code of `kat_runner`; and that this code fails when it
//! must.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

#[path = "../examples/kat_runner/main.rs"]
#[expect(dead_code, reason = "`main` belongs to the example")]
mod kat_runner;

use kat_runner::cases::Kind;
use kat_runner::{Report, run_file, run_text};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kat-vectors")
}

/// Runs files of one folder, of which each has exactly the given number of cases.
fn run_all(folder: &str, files: &[(&str, usize)]) -> usize {
    for (name, count) in files {
        let report = run_file(&vectors().join(folder).join(format!("{name}.jsonl.xz")));
        assert_eq!(report.failures, [""; 0]);
        assert_eq!(
            (report.passed, report.failed),
            (*count, 0),
            "{folder}/{name}"
        );
    }
    files.iter().map(|(_, count)| count).sum()
}

#[test]
fn published_vectors_pass() {
    let total = run_all(
        "public",
        &[
            ("aes256gcm", 379),
            ("hkdf", 4),
            ("mldsa65_kat", 60),
            ("mldsa65_keygen", 25),
            ("mldsa65_siggen", 90),
            ("mldsa65_sigver", 45),
            ("mlkem768_decaps", 35),
            ("mlkem768_encaps", 25),
            ("mlkem768_kat", 521),
            ("mlkem768_keygen", 25),
            ("x25519", 3),
            ("xwing", 3),
        ],
    );
    assert_eq!(total, 1215);
}

#[test]
fn generated_vectors_pass() {
    let total = run_all(
        "generated",
        &[
            ("aes256gcm", 100),
            ("hkdf", 153),
            ("mldsa65_keygen", 50),
            ("mldsa65_siggen", 50),
            ("mldsa65_sigver", 50),
            ("mlkem768_decaps", 60),
            ("mlkem768_encaps", 50),
            ("mlkem768_keycheck", 100),
            ("mlkem768_keygen", 50),
            ("x25519", 50),
            ("xwing", 50),
        ],
    );
    assert_eq!(total, 763);
}

#[test]
fn every_vendored_file_has_its_checksum() {
    let sums = std::fs::read_to_string(vectors().join("SHA256SUMS")).unwrap();
    let listed: BTreeMap<&str, &str> = sums
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(sum, name)| (name, sum))
        .collect();
    let mut found = vec!["xaes256gcm.jsonl".to_owned()];
    for folder in ["public", "generated"] {
        for entry in std::fs::read_dir(vectors().join(folder)).unwrap() {
            found.push(format!(
                "{folder}/{}",
                entry.unwrap().file_name().to_string_lossy()
            ));
        }
    }
    assert_eq!(found.len(), 27);
    for name in &found {
        let content = std::fs::read(vectors().join(name)).unwrap();
        let sum = hex::encode(Sha256::digest(content));
        assert_eq!(listed.get(name.as_str()), Some(&sum.as_str()), "{name}");
    }
}

/// Vectors that are not vendored yet, when the checkout that holds them lies beside this one.
#[test]
fn vectors_beside_this_repository_pass() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/kat");
    let mut ran = 0;
    for folder in ["public", "generated"] {
        let Ok(entries) = std::fs::read_dir(beside.join(folder)) else {
            println!("skipped: {} is not here", beside.join(folder).display());
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let vendored = vectors().join(folder).join(path.file_name().unwrap());
            // What is vendored unchanged runs above.
            if std::fs::read(&vendored).ok() == std::fs::read(&path).ok() {
                continue;
            }
            let report = run_file(&path);
            assert_eq!(report.failures, [""; 0], "{}", path.display());
            ran += report.passed;
        }
    }
    println!("{ran} cases beside this repository that are not vendored");
}

fn run_lines(kind: Kind, text: &str) -> Report {
    let mut report = Report::default();
    run_text(kind, "made.jsonl", text, &mut report);
    report
}

const RFC7748: &str = r#"{"id":"a","sk":"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4","pk":"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c","shared":"C3DA55379DE9C6908E94EA4DF28D084F32ECCF03491C71F754B4075577A28552"}"#;

#[test]
fn a_result_that_is_absent_means_valid_and_hex_may_be_upper_case() {
    let report = run_lines(Kind::X25519, RFC7748);
    assert_eq!(
        (report.passed, report.failed),
        (1, 0),
        "{:?}",
        report.failures
    );
}

#[test]
fn what_is_wrong_with_a_case_is_a_failure() {
    let with =
        |result: &str| RFC7748.replace(r#""id":"a""#, &format!(r#""id":"a","result":{result}"#));
    let lines = [
        (RFC7748.replace("C3DA", "C3DB"), "differs in shared"),
        (with(r#""invalid""#), "must be refused"),
        (with(r#""maybe""#), "unknown result"),
        (with("1"), "not a string"),
        (RFC7748.replace("a546", "a54"), "refused"),
        (RFC7748.replace("a546", "zz46"), "`sk`"),
        (RFC7748.replace("shared", "other"), "nothing to compare"),
        ("[1]".to_owned(), "malformed line"),
        ("{\"id\":".to_owned(), "malformed line"),
        (String::new(), "no cases"),
    ];
    for (line, why) in lines {
        let report = run_lines(Kind::X25519, &line);
        assert_eq!((report.passed, report.failed), (0, 1), "{line}");
        if why == "refused" {
            // An odd number of digits is malformed, not refused.
            assert!(report.failures[0].contains("`sk`"), "{:?}", report.failures);
        } else {
            assert!(
                report.failures[0].contains(why),
                "{why}: {:?}",
                report.failures
            );
        }
    }
}

#[test]
fn an_all_zero_x25519_secret_passes_only_because_it_is_refused() {
    let zero = "00".repeat(32);
    for result in ["valid", "acceptable", "invalid"] {
        let line = format!(
            r#"{{"id":"z","result":"{result}","sk":"{}","pk":"{zero}","shared":"{zero}"}}"#,
            "11".repeat(32)
        );
        let report = run_lines(Kind::X25519, &line);
        assert_eq!(
            (report.passed, report.failed),
            (1, 0),
            "{result}: {:?}",
            report.failures
        );
    }
}

#[test]
fn malformed_signing_keys_are_refused_instead_of_panicking() {
    let base = |sk: &str, ctx: usize| {
        format!(
            r#"{{"id":"s","iface":"pure","result":"invalid","sk":"{sk}","msg":"","ctx":"{}"}}"#,
            "00".repeat(ctx)
        )
    };
    // Zero bytes are the coefficient eta, which is in range; 0xff is not.
    let good = "00".repeat(4032);
    let bad = format!("{}ff{}", "00".repeat(128), "00".repeat(4032 - 129));
    let refused = [
        base(&bad, 0),
        base(&good[2..], 0),
        base(&good, 256),
        base("", 0),
    ];
    for line in &refused {
        let report = run_lines(Kind::MlDsaSigGen, line);
        assert_eq!(
            (report.passed, report.failed),
            (1, 0),
            "{:?}",
            report.failures
        );
    }
}

#[test]
fn files_that_cannot_be_run_are_failures() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let truncated = std::fs::read(vectors().join("public/x25519.jsonl.xz")).unwrap();
    let cases = [
        (
            write("sha1.jsonl", RFC7748.as_bytes()),
            "unknown kind `sha1`",
        ),
        (write("x25519.empty.jsonl", b"\n\n"), "no cases"),
        (
            write("x25519.cut.jsonl.xz", &truncated[..truncated.len() / 2]),
            "",
        ),
        (write("x25519.binary.jsonl", b"\xff\xfe\x00"), "utf-8"),
        (folder.path().join("x25519.missing.jsonl"), ""),
        (folder.path().to_path_buf(), ""),
    ];
    for (path, why) in cases {
        let report = run_file(&path);
        assert_eq!((report.passed, report.failed), (0, 1), "{}", path.display());
        assert!(report.failures[0].contains(why), "{:?}", report.failures);
    }
}
