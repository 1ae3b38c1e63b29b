//! A folder with keys and databases, and what running the command there gives.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use zqlite::rusqlite::Connection;

/// What one run of the command did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Checks what holds for every run: no panic, no secret on stderr.
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let run = Self {
            status: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!run.stderr.contains("panicked"), "{run:?}");
        assert!(!run.stderr.contains("internal error"), "{run:?}");
        assert!(!holds_secret(&run.stderr), "{run:?}");
        run
    }

    /// The run succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.fails_with(0, "")
    }

    /// The run ended with this status and said this.
    #[track_caller]
    pub(crate) fn fails_with(self, status: i32, says: &str) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.stderr.contains(says), "{says:?} is not in {self:?}");
        if status != 0 {
            assert!(self.stderr.contains("zqlite: "), "{self:?}");
        }
        self
    }

    pub(crate) fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }
}

/// A temporary folder in which the command runs.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// With `me.identity`, `me.recipient` and `plain.db`.
    pub(crate) fn with_plain() -> Self {
        let bench = Self::new();
        let run = bench.run(["keygen", "-o", "me.identity"]).ok();
        bench.write("me.recipient", &run.stdout);
        bench.database(
            "plain.db",
            "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'one'), (2, 'two');",
        );
        bench
    }

    /// With `sealed.db` too.
    pub(crate) fn with_sealed() -> Self {
        let bench = Self::with_plain();
        bench
            .run(["encrypt", "plain.db", "sealed.db", "-R", "me.recipient"])
            .ok();
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn read_text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Makes a plain database.
    pub(crate) fn database(&self, name: &str, sql: &str) {
        Connection::open(self.path(name))
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }

    pub(crate) fn command<I, S>(&self, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zqlite"));
        command.args(args).current_dir(self.dir.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run<I, S>(&self, args: I) -> Run
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Run::new(self.command(args).output().unwrap())
    }

    /// With a stdout that nobody reads any more.
    pub(crate) fn run_unread<I, S>(&self, args: I, stdin: impl AsRef<[u8]>) -> Run
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(writer)
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_ref()).ok();
        Run::new(child.wait_with_output().unwrap())
    }

    pub(crate) fn run_with_stdin<I, S>(&self, args: I, stdin: impl AsRef<[u8]>) -> Run
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        // A command that fails early does not read its input.
        child.stdin.take().unwrap().write_all(stdin.as_ref()).ok();
        Run::new(child.wait_with_output().unwrap())
    }

    /// `query` on `sealed.db` with `me.identity`.
    pub(crate) fn query<const N: usize>(&self, args: [&str; N]) -> Run {
        let all = ["query", "sealed.db", "-i", "me.identity"]
            .into_iter()
            .chain(args);
        self.run(all)
    }

    /// The names and contents of all files.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        snapshot(self.dir.path())
    }

    /// The names of all files.
    pub(crate) fn names(&self) -> Vec<String> {
        self.snapshot().into_keys().collect()
    }
}

fn snapshot(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let content = fs::read(entry.path()).unwrap_or_default();
            (entry.file_name().into_string().unwrap(), content)
        })
        .collect()
}

/// Whether a text holds a secret key, or the beginning of one: a prefix that a character of bech32 follows.
fn holds_secret(text: &str) -> bool {
    const BECH32: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let text = text.to_ascii_lowercase();
    ["age-secret-key-pq-1", "zqlite-signing-key-1"]
        .iter()
        .any(|prefix| {
            text.match_indices(prefix)
                .filter_map(|(at, _)| text[at + prefix.len()..].chars().next())
                .any(|next| BECH32.contains(next))
        })
}

#[test]
fn secrets_are_found() {
    for text in ["x AGE-SECRET-KEY-PQ-1Z", "zqlite-signing-key-1l"] {
        assert!(holds_secret(text), "{text}");
    }
    for text in [
        "",
        "AGE-SECRET-KEY-PQ-1…",
        "AGE-SECRET-KEY-PQ-1",
        "age1pq1q",
    ] {
        assert!(!holds_secret(text), "{text}");
    }
}

/// The `sqlite3` shell's output, if there is such a shell.
pub(crate) fn sqlite3(database: &Path, command: &str) -> Option<String> {
    let output = Command::new("sqlite3")
        .arg(database)
        .arg(command)
        .output()
        .ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}
