//! Names and values from a hostile database do not steer the terminal that shows them.

use crate::support::Bench;

const HOSTILE: &str = "\u{1b}[2J\u{9b}1m\u{202e}\u{200b}\u{feff}\u{7f}";

#[track_caller]
fn harmless(text: &str) {
    let steers = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\r')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!text.contains(steers), "{text:?}");
}

#[test]
fn values_and_names_are_escaped_in_tables_and_json() {
    let bench = Bench::with_sealed();
    let sql = format!(
        "CREATE TABLE \"{HOSTILE}\"(\"c{HOSTILE}\"); INSERT INTO \"{HOSTILE}\" VALUES ('v{HOSTILE}')"
    );
    bench.query(["--write", &sql]).ok();
    let select = format!("SELECT * FROM \"{HOSTILE}\"");
    let table = bench.query([&select]).ok();
    harmless(&table.stdout);
    assert!(table.stdout.contains("\\u{1b}[2J"), "{table:?}");
    let json = bench.query(["--json", &select]).ok();
    harmless(&json.stdout);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value[0][format!("c{HOSTILE}")], format!("v{HOSTILE}"));
    // A pipe gets the data as it is.
    assert!(
        bench
            .query(["--csv", &select])
            .ok()
            .stdout
            .contains(HOSTILE)
    );
    let shell = |input| bench.run_with_stdin(["shell", "sealed.db", "-i", "me.identity"], input);
    assert!(shell(".dump\n").ok().stdout.contains(HOSTILE));
    harmless(&shell(".tables\n").ok().stdout);
    let missing = bench.query([&format!("SELECT * FROM \"x{HOSTILE}\"")]);
    harmless(&missing.fails_with(1, "no such table").stderr);
}

#[test]
fn file_names_are_escaped_in_reports_errors_and_warnings() {
    let bench = Bench::with_sealed();
    let name = format!("s{HOSTILE}\n.db");
    bench.write(&name, bench.read("sealed.db"));
    for json in [&[][..], &["--json"]] {
        let run = bench.run([&["inspect", &name][..], json].concat()).ok();
        harmless(&run.stdout);
        let run = bench.run([&["verify", &name, "-i", "me.identity"][..], json].concat());
        harmless(&run.ok().stdout);
    }
    let mut file = bench.read("sealed.db");
    file[200] ^= 1;
    bench.write(&name, file);
    let run = bench.run(["verify", &name, "-i", "me.identity"]);
    harmless(&run.fails_with(4, "altered or damaged").stderr);
    for args in [
        &["recipient", &name][..],
        &[
            "query",
            &format!("no{HOSTILE}"),
            "-i",
            "me.identity",
            "SELECT 1",
        ],
        &["inspect", "a", &format!("too-many{HOSTILE}")],
    ] {
        let run = bench.run(args);
        assert_ne!(run.status, 0);
        harmless(&run.stderr);
    }
    let sealed = format!("new{HOSTILE}");
    let run = bench.run(["encrypt", "plain.db", &sealed, "-R", "me.recipient"]);
    harmless(&run.ok().stdout);
}
