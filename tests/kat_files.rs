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

#[test]
fn an_invalid_case_without_its_principal_fields_proves_nothing() {
    for kind in [
        Kind::Aes256Gcm,
        Kind::Hkdf,
        Kind::MlDsaKat,
        Kind::MlDsaKeyGen,
        Kind::MlDsaSigGen,
        Kind::MlDsaSigVer,
        Kind::MlKemDecaps,
        Kind::MlKemEncaps,
        Kind::MlKemKat,
        Kind::MlKemKeyCheck,
        Kind::MlKemKeyGen,
        Kind::MlKemSeedDecaps,
        Kind::X25519,
        Kind::XWing,
    ] {
        for line in [
            r#"{"id":"a","result":"invalid"}"#,
            r#"{"id":"a","key":null,"seed":null,"dk":null,"result":"invalid"}"#,
        ] {
            let report = run_lines(kind, line);
            assert_eq!((report.passed, report.failed), (0, 1), "{kind:?}");
            assert!(report.failures[0].contains("malformed"), "{report:?}");
        }
    }
    // Without a ciphertext the key itself must be what is refused.
    let short = r#"{"id":"a","dk":"00","result":"invalid"}"#;
    assert_eq!(run_lines(Kind::MlKemDecaps, short).passed, 1);
    let no_signature = r#"{"id":"a","pk":"00","result":"invalid"}"#;
    assert_eq!(run_lines(Kind::MlDsaSigVer, no_signature).failed, 1);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let report = run_lines(Kind::X25519, &format!("\u{feff}{RFC7748}\n"));
    assert_eq!((report.passed, report.failed), (1, 0), "{report:?}");
}

#[test]
fn lengths_that_no_memory_has_are_refused() {
    for (len, passed) in [
        ("-1", 1),
        ("8161", 1),
        ("18446744073709551615", 1),
        ("99999999999999999999999", 1),
        ("32", 0),
        ("1.5", 0),
        ("\"32\"", 0),
    ] {
        let line =
            format!(r#"{{"id":"a","hash":"sha256","ikm":"00","len":{len},"result":"invalid"}}"#);
        assert_eq!(run_lines(Kind::Hkdf, &line).passed, passed, "{len}");
    }
}

#[test]
fn a_plaintext_need_not_be_given() {
    // SP 800-38D, test case 14 of the original submission: key and iv of zeros, one block of zeros.
    let case = |ct: &str, result: &str| {
        let (key, iv) = ("00".repeat(32), "00".repeat(12));
        let tag = "d0d1c8a799996bf0265b98b5d48ab919";
        format!(
            r#"{{"id":"a","key":"{key}","iv":"{iv}","ct":"{ct}","tag":"{tag}","result":"{result}"}}"#
        )
    };
    let ct = "cea7403d4d606b6e074ec5d3baf39d18";
    for (ct, result, passed) in [
        (ct, "valid", 1),
        (ct, "invalid", 0),
        ("cea7403d4d606b6e074ec5d3baf39d19", "valid", 0),
        ("cea7403d4d606b6e074ec5d3baf39d19", "invalid", 1),
    ] {
        let report = run_lines(Kind::Aes256Gcm, &case(ct, result));
        assert_eq!(report.passed, passed, "{ct} {result}: {report:?}");
    }
}

#[test]
fn a_signature_is_verified_under_the_key_that_the_seed_yields() {
    let key = zqlite_pq::SigningKey::from_seed([7; 32]);
    let mut signature = zqlite_pq::hazmat::sign_unlabelled(&key, b"abc").unwrap();
    // Hedged: nothing but verification can tell whether it is right.
    let line = |signature: &[u8]| {
        let (seed, sig) = ("07".repeat(32), hex::encode(signature));
        format!(
            r#"{{"id":"a","seed":"{seed}","msg":"616263","deterministic":false,"sig":"{sig}"}}"#
        )
    };
    assert_eq!(run_lines(Kind::MlDsaSigGen, &line(&signature)).passed, 1);
    signature[100] ^= 1;
    let report = run_lines(Kind::MlDsaSigGen, &line(&signature));
    assert!(report.failures[0].contains("verified"), "{report:?}");
}
