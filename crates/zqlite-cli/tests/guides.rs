//! Runs what the guides of `docs/guides` tell their readers to run.
//!
//! A guide is read from the top, in an empty folder of its own:
//!
//! - `<!-- needs: sqlite3 python3 -->` names programs without which the guide is skipped, with a word;
//! - `<!-- file: NAME -->` before a code block makes the block a file of that name;
//! - in a block of the language `console`, `$ ` begins a command, which bash runs and which must succeed, and the
//!   lines behind it are what it prints, on stdout and stderr; `…` stands for anything in a line, a line of its own
//!   for any lines. A backslash at the end of a line goes on with the next.
//!
//! A block that is neither fails the test, unless its language is one in which nothing is typed into a shell, or
//! another test runs it (Rust's are run by `interop`).
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are no tests to clippy"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// A part of a guide that does something.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Needs(Vec<String>),
    File {
        name: String,
        content: String,
    },
    Run {
        command: String,
        prints: Vec<String>,
    },
}

/// Languages of blocks that nobody types into a shell.
const PROSE: [&str; 4] = ["rust", "text", "toml", "sql"];

fn read(guide: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut file = None;
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- ") {
            let comment = comment.strip_suffix(" -->").unwrap();
            match comment.split_once(": ") {
                Some(("needs", names)) => {
                    let names = names.split(' ').map(str::to_owned).collect();
                    steps.push(Step::Needs(names));
                }
                Some(("file", name)) => file = Some(name.to_owned()),
                _ => panic!("{line}"),
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            if let Some(name) = file.take() {
                let content = block.join("\n") + "\n";
                steps.push(Step::File { name, content });
            } else if language == "console" {
                steps.extend(commands(&block));
            } else {
                let language = language.split(',').next().unwrap();
                assert!(
                    PROSE.contains(&language),
                    "nothing runs this block: {block:?}"
                );
            }
        } else {
            assert!(file.is_none() || line.is_empty(), "no block for {file:?}");
        }
    }
    steps
}

fn commands(block: &[&str]) -> Vec<Step> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command.to_owned(), Vec::new())),
            (None, Some((command, prints))) if prints.is_empty() && command.ends_with('\\') => {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some((_, prints))) => prints.push((*line).to_owned()),
            (None, None) => panic!("a block begins with what is printed: {line}"),
        }
    }
    steps
        .into_iter()
        .map(|(command, prints)| Step::Run { command, prints })
        .collect()
}

/// Whether a line is as expected: `…` stands for anything.
fn line_fits(expected: &str, printed: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether lines are as expected: a line `…` stands for any number of lines.
fn lines_fit(expected: &[String], printed: &[&str]) -> bool {
    match (expected.split_first(), printed.split_first()) {
        (None, _) => printed.is_empty(),
        (Some((first, rest)), _) if first == "…" => {
            (0..=printed.len()).any(|skipped| lines_fit(rest, &printed[skipped..]))
        }
        (Some(_), None) => false,
        (Some((first, rest)), Some((line, others))) => {
            line_fits(first, line) && lines_fit(rest, others)
        }
    }
}

/// The folder of the built command before all others.
fn search_path() -> std::ffi::OsString {
    let built = Path::new(env!("CARGO_BIN_EXE_zqlite")).parent().unwrap();
    let others = env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(built.to_owned()).chain(env::split_paths(&others));
    env::join_paths(all).unwrap()
}

fn is_there(program: &str) -> bool {
    env::split_paths(&search_path()).any(|folder| folder.join(program).is_file())
}

/// Runs a guide; gives how many commands it ran, or which program is missing.
fn run(name: &str) -> Result<usize, String> {
    let guides: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", "guides"]
        .iter()
        .collect();
    let guide = fs::read_to_string(guides.join(name)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut ran = 0;
    for step in read(&guide) {
        match step {
            Step::Needs(programs) => {
                if let Some(missing) = programs.into_iter().find(|program| !is_there(program)) {
                    return Err(missing);
                }
            }
            Step::File { name, content } => fs::write(folder.path().join(name), content).unwrap(),
            Step::Run { command, prints } => {
                let output = Command::new("bash")
                    .args(["-euo", "pipefail", "-c"])
                    .arg(format!("exec 2>&1\n{command}"))
                    .current_dir(folder.path())
                    .env("PATH", search_path())
                    .env("HOME", folder.path())
                    .stdin(Stdio::null())
                    .output()
                    .unwrap();
                let printed = String::from_utf8(output.stdout).unwrap();
                assert!(output.status.success(), "{name}: $ {command}\n{printed}");
                let lines: Vec<_> = printed.lines().collect();
                assert!(
                    lines_fit(&prints, &lines),
                    "{name}: $ {command}\n{printed}-- expected:\n{}",
                    prints.join("\n")
                );
                ran += 1;
            }
        }
    }
    Ok(ran)
}

#[track_caller]
fn assert_runs(name: &str, commands: usize) {
    match run(name) {
        Ok(ran) => assert_eq!(ran, commands, "{name}"),
        Err(missing) => println!("skipped: {name}: there is no {missing}"),
    }
}

#[test]
fn every_command_of_the_guide_to_operations_does_what_the_guide_says() {
    assert_runs("operations.md", 39);
}

#[test]
fn every_command_of_the_guide_to_backups_does_what_the_guide_says() {
    assert_runs("backup.md", 16);
}

#[test]
fn every_command_of_the_guide_to_indexes_does_what_the_guide_says() {
    assert_runs("indexes.md", 21);
}

#[test]
fn every_command_of_the_guide_to_compression_does_what_the_guide_says() {
    assert_runs("compression.md", 14);
}

#[test]
fn every_command_of_the_guide_to_time_series_does_what_the_guide_says() {
    assert_runs("timeseries.md", 14);
}

#[test]
fn a_guide_is_read_as_files_and_commands() {
    let guide = "\
Text.

<!-- needs: cat -->
<!-- file: a.sql -->
```sql
SELECT 1;
```

```console
$ cat a.sql
SELECT 1;
$ echo a \\
    b
$ true
```

```rust
fn main() {}
```
";
    let command = |command: &str, prints: &[&str]| Step::Run {
        command: command.to_owned(),
        prints: prints.iter().copied().map(str::to_owned).collect(),
    };
    let expected = [
        Step::Needs(vec!["cat".to_owned()]),
        Step::File {
            name: "a.sql".to_owned(),
            content: "SELECT 1;\n".to_owned(),
        },
        command("cat a.sql", &["SELECT 1;"]),
        command("echo a \\\n    b", &[]),
        command("true", &[]),
    ];
    assert_eq!(read(guide), expected);
}

#[test]
#[should_panic(expected = "nothing runs this block")]
fn a_block_that_nothing_runs_is_refused() {
    read("```sh\nrm -r /\n```\n");
}

#[test]
fn what_is_printed_is_compared_with_gaps() {
    let fits = |expected: &str, printed: &str| {
        let expected: Vec<_> = expected.lines().map(str::to_owned).collect();
        lines_fit(&expected, &printed.lines().collect::<Vec<_>>())
    };
    for (expected, printed) in [
        ("", ""),
        ("a", "a"),
        ("a…", "abc"),
        ("a…c", "abc"),
        ("a…b…c", "a-b-c"),
        ("…", ""),
        ("…", "a\nb"),
        ("a\n…\nc", "a\nb\nb\nc"),
    ] {
        assert!(fits(expected, printed), "{expected:?} {printed:?}");
    }
    for (expected, printed) in [
        ("", "a"),
        ("a", ""),
        ("a", "ab"),
        ("a…c", "abcd"),
        ("a…b", "ac"),
        ("a\n…\nc", "a\nb"),
        ("a\nb", "a"),
    ] {
        assert!(!fits(expected, printed), "{expected:?} {printed:?}");
    }
}
