//! Keys are exchanged with another implementation of age, both ways; wrapped keys do not cross.
//!
//! The other one is the npm package `age-encryption` on node, driven by `age.mjs`. `ZQLITE_AGE_MODULES` names the
//! folder in which it is installed; without it these tests say that they are skipped. `.ci/run age` installs it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::support::Bench;

/// A folder for both implementations; `None`, with a word why, where there is no other one.
struct Exchange {
    bench: Bench,
    modules: PathBuf,
}

/// What a run of the other implementation gave: its stdout, or its complaint.
type Said = Result<String, String>;

impl Exchange {
    /// With `our.identity`, `their.identity`, the recipients beside them, and `plain.db`.
    fn new() -> Option<Self> {
        let Some(modules) = env::var_os("ZQLITE_AGE_MODULES") else {
            println!("skipped: ZQLITE_AGE_MODULES names no folder with the package age-encryption");
            return None;
        };
        let exchange = Self {
            bench: Bench::new(),
            modules: modules.into(),
        };
        let bench = &exchange.bench;
        let ours = bench.run(["keygen", "-o", "our.identity"]).ok().stdout;
        bench.write("our.recipient", ours);
        let identity = exchange.path("their.identity");
        bench.write(
            "their.recipient",
            exchange.age(&["keygen", &identity]).unwrap(),
        );
        bench.database(
            "plain.db",
            "CREATE TABLE t(a); INSERT INTO t VALUES ('known')",
        );
        Some(exchange)
    }

    fn path(&self, name: &str) -> String {
        self.bench
            .path(name)
            .into_os_string()
            .into_string()
            .unwrap()
    }

    fn recipient(&self, whose: &str) -> String {
        let file = format!("{whose}.recipient");
        self.bench.read_text(&file).trim_end().to_owned()
    }

    /// Runs a command of `age.mjs`.
    fn age(&self, args: &[&str]) -> Said {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/age.mjs");
        let output = Command::new("node")
            .args(["--input-type=module", "-"])
            .args(args)
            .current_dir(&self.modules)
            .stdin(Stdio::from(fs::File::open(script).unwrap()))
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }

    /// Seals `plain.db` for one recipient.
    fn seal(&self, whose: &str, out: &str) {
        let recipient = format!("{whose}.recipient");
        self.bench
            .run(["encrypt", "plain.db", out, "-R", &recipient])
            .ok();
    }

    /// Reads the sealed file: status 0 and the row, or the status it was refused with.
    fn read(&self, sealed: &str, whose: &str) -> i32 {
        let identity = format!("{whose}.identity");
        let args = ["query", "--csv", sealed, "-i", &identity, "SELECT a FROM t"];
        let run = self.bench.run(args);
        assert_eq!(run.status == 0, run.stdout == "a\r\nknown\r\n", "{run:?}");
        run.status
    }
}

#[test]
fn both_implementations_derive_the_same_recipient_from_an_identity() {
    let Some(exchange) = Exchange::new() else {
        return;
    };
    for whose in ["our", "their"] {
        let identity = exchange.path(&format!("{whose}.identity"));
        let run = exchange.bench.run(["recipient", &identity]).ok();
        assert_eq!(run.stdout, exchange.age(&["recipient", &identity]).unwrap());
        assert_eq!(run.stdout.trim_end(), exchange.recipient(whose));
    }
    assert_ne!(exchange.recipient("our"), exchange.recipient("their"));
}

#[test]
fn an_identity_of_the_other_implementation_opens_a_sealed_file() {
    let Some(exchange) = Exchange::new() else {
        return;
    };
    exchange.seal("their", "sealed.db");
    assert_eq!(exchange.read("sealed.db", "their"), 0);
    assert_eq!(exchange.read("sealed.db", "our"), 3);
    // A text on the command line is the same recipient as one in a file.
    let recipient = exchange.recipient("their");
    exchange
        .bench
        .run(["encrypt", "plain.db", "again.db", "-r", &recipient])
        .ok();
    assert_eq!(exchange.read("again.db", "their"), 0);
}

#[test]
fn our_identity_opens_a_file_of_the_other_implementation() {
    let Some(exchange) = Exchange::new() else {
        return;
    };
    let file = exchange.path("letter.age");
    let recipient = exchange.recipient("our");
    exchange
        .age(&["encrypt", &recipient, "dear", &file])
        .unwrap();
    let decrypt = |whose| {
        let identity = exchange.path(&format!("{whose}.identity"));
        exchange.age(&["decrypt", &identity, &file])
    };
    assert_eq!(decrypt("our").unwrap(), "dear\n");
    assert!(
        decrypt("their")
            .unwrap_err()
            .contains("no identity matched")
    );
}

/// The other implementation's key encapsulation unwraps the epoch key of our file and wraps it again: as we do, as
/// age does, and as each would with the info of the other.
#[test]
fn an_epoch_key_that_is_wrapped_as_age_wraps_does_not_open_the_file() {
    let Some(exchange) = Exchange::new() else {
        return;
    };
    exchange.seal("their", "sealed.db");
    let [sealed, identity] = ["sealed.db", "their.identity"].map(|name| exchange.path(name));
    for (used, status) in [
        ("ours", 0),
        ("age", 4),
        ("ours, but for the info", 4),
        ("age, but for the info", 4),
    ] {
        let out = exchange.path("rewrapped.db");
        exchange
            .age(&["rewrap", &sealed, &identity, used, &out])
            .unwrap();
        assert_ne!(
            exchange.bench.read("rewrapped.db"),
            exchange.bench.read("sealed.db")
        );
        assert_eq!(exchange.read("rewrapped.db", "their"), status, "{used}");
    }
}

#[test]
fn a_file_key_that_is_wrapped_as_ours_does_not_open_an_age_file() {
    let Some(exchange) = Exchange::new() else {
        return;
    };
    exchange.seal("our", "sealed.db");
    let [sealed, identity] = ["sealed.db", "our.identity"].map(|name| exchange.path(name));
    let recipient = exchange.recipient("our");
    for (used, opens) in [
        ("age", true),
        ("ours", false),
        ("ours, but for the info", false),
        ("age, but for the info", false),
    ] {
        let out = exchange.path("letter.age");
        exchange
            .age(&["encrypt-by", &recipient, "dear", used, &sealed, &out])
            .unwrap();
        match exchange.age(&["decrypt", &identity, &out]) {
            Ok(content) => assert!(opens && content == "dear\n", "{used}"),
            Err(error) => assert!(!opens && error.contains("no identity matched"), "{error}"),
        }
    }
}

#[test]
fn the_stanza_of_an_age_file_is_no_slot() {
    let Some(exchange) = Exchange::new() else {
        return;
    };
    exchange.seal("our", "sealed.db");
    let recipient = exchange.recipient("our");
    let [sealed, identity, letter, out] =
        ["sealed.db", "our.identity", "letter.age", "forged.db"].map(|name| exchange.path(name));
    exchange
        .age(&["encrypt", &recipient, "dear", &letter])
        .unwrap();
    exchange
        .age(&["stanza-to-slot", &letter, &sealed, &identity, &out])
        .unwrap();
    assert_eq!(exchange.read("forged.db", "our"), 4);
    assert_eq!(exchange.read("sealed.db", "our"), 0);
}

#[test]
fn the_slot_of_a_sealed_file_is_no_stanza() {
    let Some(exchange) = Exchange::new() else {
        return;
    };
    exchange.seal("our", "sealed.db");
    let [sealed, identity, out] =
        ["sealed.db", "our.identity", "letter.age"].map(|name| exchange.path(name));
    for (from, length, says) in [
        ("0", "48", "invalid mlkem768x25519 stanza"),
        ("0", "32", "no identity matched"),
        ("16", "32", "no identity matched"),
    ] {
        exchange
            .age(&["slot-to-stanza", &sealed, from, length, &out])
            .unwrap();
        let error = exchange.age(&["decrypt", &identity, &out]).unwrap_err();
        assert!(error.contains(says), "{from} {length}: {error}");
    }
}
