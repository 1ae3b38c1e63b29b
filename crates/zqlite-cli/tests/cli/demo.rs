//! The demo keeps its word.

use crate::support::Bench;

#[test]
fn every_expectation_holds_and_nothing_is_left() {
    let bench = Bench::new();
    let output = bench
        .command(["demo"])
        .env("TMPDIR", bench.path(""))
        .output()
        .unwrap();
    let run = crate::support::Run::new(output).ok();
    assert!(!run.stdout.contains('✗'), "{}", run.stdout);
    assert_eq!(run.stdout.matches('✓').count(), 17, "{}", run.stdout);
    assert!(run.stdout.contains("What to try next"));
    assert!(!run.stdout.contains("AGE-SECRET-KEY") && !run.stdout.contains("ZQLITE-SIGNING-KEY"));
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn with_a_folder_the_files_stay_and_the_advice_works() {
    let bench = Bench::new();
    bench.run(["demo", "--dir", "story"]).ok();
    let keys = [
        "-i",
        "story/alice.identity",
        "--signed-by",
        "story/owner.verify",
    ];
    let query = [
        "query",
        "story/sealed.db",
        "SELECT count(*) n FROM person",
        "--json",
    ];
    let run = bench.run(query.into_iter().chain(keys)).ok();
    assert_eq!(run.stdout, "[{\"n\":4000}]\n");
    assert_eq!(run.stderr, "");
    let verify = ["verify", "story/attack-header-copy.db"];
    bench.run(verify.into_iter().chain(keys)).fails_with(4, "A");
    bench
        .run([
            "query",
            "story/sealed.db",
            "-i",
            "story/mallory.identity",
            "SELECT 1",
        ])
        .fails_with(3, "");
    bench
        .run(["demo", "--dir", "story"])
        .fails_with(1, "not empty");
}
