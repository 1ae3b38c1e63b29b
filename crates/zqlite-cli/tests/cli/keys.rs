//! keygen, recipient, signing-key, and what key files may hold.

use crate::support::Bench;

#[test]
fn keygen_writes_a_private_file_and_prints_the_recipient_last() {
    let bench = Bench::new();
    let run = bench.run(["keygen", "-o", "me.identity"]).ok();
    assert!(run.last_line().starts_with("age1pq1"));
    assert_eq!(run.stdout.lines().count(), 1);
    let identity = bench.read_text("me.identity");
    assert!(identity.starts_with("# recipient: age1pq1"));
    assert!(identity.contains("\nAGE-SECRET-KEY-PQ-1"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(bench.path("me.identity"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let recipient = bench.run(["recipient", "me.identity"]).ok();
    assert_eq!(recipient.stdout, run.stdout);
}

#[test]
fn keys_are_never_overwritten() {
    let bench = Bench::new();
    bench.write("key", "precious");
    for args in [
        &["keygen", "-o", "key"][..],
        &["signing-key", "generate", "-o", "key"],
    ] {
        bench.run(args).fails_with(1, "never overwritten");
        assert_eq!(bench.read("key"), b"precious");
    }
    let run = bench.run(["keygen", "-o", "no/such/folder/key"]);
    run.fails_with(1, "no/such/folder/key");
}

#[test]
fn keygen_to_stdout_is_a_usable_identity_file() {
    let bench = Bench::new();
    let run = bench.run(["keygen"]).ok();
    assert!(run.last_line().starts_with("age1pq1"));
    bench.write("me.identity", &run.stdout);
    let recipient = bench.run(["recipient", "me.identity"]).ok();
    assert_eq!(recipient.stdout.trim_end(), run.last_line());
    let piped = bench.run_with_stdin(["recipient", "-"], &run.stdout).ok();
    assert_eq!(piped.stdout, recipient.stdout);
}

#[test]
fn signing_keys_have_their_own_text_form() {
    let bench = Bench::new();
    let run = bench.run(["signing-key", "generate", "-o", "owner"]).ok();
    assert!(run.last_line().starts_with("zqlite-verify1"));
    assert!(bench.read_text("owner").contains("\nZQLITE-SIGNING-KEY-1"));
    assert_eq!(
        bench.run(["signing-key", "public", "owner"]).ok().stdout,
        run.stdout
    );
    let printed = bench.run(["signing-key", "generate"]).ok();
    bench.write("printed", &printed.stdout);
    let public = bench.run(["signing-key", "public", "printed"]).ok();
    assert_eq!(public.stdout.trim_end(), printed.last_line());
}

#[test]
fn keys_of_the_wrong_kind_are_named() {
    let bench = Bench::with_plain();
    bench.run(["signing-key", "generate", "-o", "owner"]).ok();
    bench
        .run(["recipient", "owner"])
        .fails_with(1, "a signing key");
    bench
        .run(["signing-key", "public", "me.identity"])
        .fails_with(1, "an identity");
    bench
        .run(["recipient", "me.recipient"])
        .fails_with(1, "a recipient");
    bench
        .run(["encrypt", "plain.db", "s.db", "-R", "me.identity"])
        .fails_with(1, "an identity");
}

#[test]
fn key_files_that_are_none_are_refused() {
    let bench = Bench::with_plain();
    bench.write("empty", "");
    bench.write("comment", "# nothing\n\n");
    bench.write("binary", [0xff; 100]);
    bench.write("long", vec![b'#'; 2 << 20]);
    std::fs::create_dir(bench.path("folder")).unwrap();
    for (file, says) in [
        ("empty", "no key in this file"),
        ("comment", "no key in this file"),
        ("binary", "no text"),
        ("long", "too long"),
        ("folder", "folder"),
        ("missing", "missing"),
    ] {
        bench.run(["recipient", file]).fails_with(1, says);
    }
    bench.write(
        "two",
        format!("{0}{0}", bench.run(["signing-key", "generate"]).stdout),
    );
    bench
        .run(["signing-key", "public", "two"])
        .fails_with(1, "2 keys");
    bench.write("short", "abcd");
    bench
        .run(["encrypt", "plain.db", "s.db", "--raw-key-file", "short"])
        .fails_with(1, "raw key");
    bench
        .run(["encrypt", "plain.db", "s.db", "--passphrase-file", "empty"])
        .fails_with(1, "empty");
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::with_plain();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    assert!(
        !bench
            .run(["recipient", "me.identity"])
            .ok()
            .stderr
            .contains("warning")
    );
    for exposed in [0o640, 0o604] {
        std::fs::set_permissions(bench.path("me.identity"), mode(exposed)).unwrap();
        let run = bench.run(["recipient", "me.identity"]).ok();
        assert!(run.stderr.contains("chmod 600 me.identity"), "{run:?}");
    }
    assert_eq!(
        bench
            .run(["recipient", "me.identity", "--quiet"])
            .ok()
            .stderr,
        ""
    );
}

#[cfg(unix)]
#[test]
fn a_secret_that_goes_into_a_file_that_others_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    for (args, mode, is_exposed) in [
        (&["keygen"][..], 0o600, false),
        (&["keygen"], 0o644, true),
        (&["keygen", "--quiet"], 0o644, false),
        (&["keygen", "-o", "own"], 0o644, false),
        (&["signing-key", "generate"], 0o640, true),
    ] {
        let file = std::fs::File::create(bench.path("out")).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(mode))
            .unwrap();
        let output = bench.command(args).stdout(file).output().unwrap();
        let run = crate::support::Run::new(output).ok();
        assert_eq!(run.stderr.contains("chmod 600"), is_exposed, "{run:?}");
        assert!(!bench.read("out").is_empty());
    }
}

#[test]
fn secrets_on_the_command_line_are_refused_and_not_repeated() {
    let bench = Bench::with_plain();
    let identity = bench.run(["keygen"]).ok().stdout;
    let secret = identity
        .lines()
        .find(|line| line.starts_with("AGE-SECRET"))
        .unwrap();
    let runs = [
        bench.run(["recipient", secret]),
        bench.run(["query", "sealed.db", "-i", secret, "SELECT 1"]),
        bench.run(["encrypt", "plain.db", "s.db", "-r", secret]),
        bench.run(["encrypt", "plain.db", "s.db", "x", secret]),
        bench.run([
            "query",
            "sealed.db",
            "-i",
            "me.identity",
            "--signed-by",
            secret,
            "SELECT 1",
        ]),
        bench.run(["inspect", secret]),
        bench.run(["inspect", &secret.to_lowercase()]),
        bench.run(["keygen", "-o", secret]),
        bench.run([&format!("--output={secret}"), "keygen"]),
        bench.run([
            "shell",
            "sealed.db",
            "-i",
            "me.identity",
            "--history",
            secret,
        ]),
        bench.run(["query", "sealed.db", "-i", "me.identity", secret]),
        bench.run([
            "query",
            secret,
            "-i",
            "me.identity",
            &format!("SELECT '{secret}'"),
        ]),
        bench.run(["--help", secret]),
        bench.run(["inspect", "ZQLITE-SIGNING-KEY-1QQQ"]),
    ];
    for run in runs {
        let run = run.fails_with(2, "a secret key stands on the command line");
        let said = [run.stdout.as_str(), &run.stderr].concat().to_uppercase();
        assert!(!said.contains(secret), "{run:?}");
    }
    // Data may be anything.
    bench
        .run(["encrypt", "plain.db", "sealed.db", "-R", "me.recipient"])
        .ok();
    bench.query([&format!("SELECT length('{secret}')")]).ok();
    assert!(!bench.path("s.db").exists());
}

#[test]
fn every_command_has_help_with_examples() {
    let bench = Bench::new();
    for command in [
        "keygen",
        "recipient",
        "encrypt",
        "decrypt",
        "query",
        "shell",
        "inspect",
        "verify",
        "demo",
        "completions",
    ] {
        assert!(
            bench
                .run([command, "--help"])
                .ok()
                .stdout
                .contains("Examples:"),
            "{command}"
        );
    }
    for command in ["generate", "public"] {
        assert!(
            bench
                .run(["signing-key", command, "--help"])
                .ok()
                .stdout
                .contains("Examples:")
        );
    }
    bench.run(["--version"]).ok();
    bench.run(["nonsense"]).fails_with(2, "unrecognized");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            bench
                .run(["completions", shell])
                .ok()
                .stdout
                .contains("zqlite")
        );
    }
}
