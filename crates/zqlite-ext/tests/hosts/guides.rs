//! The guides: what stands in their fenced blocks works.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::python::PYTHON;
use crate::support::{exists, library, succeeded};
use crate::{go, node};

/// The command `zqlite`: that of `ZQLITE_COMMAND`, else it is built.
pub(crate) fn command() -> &'static Path {
    static COMMAND: OnceLock<PathBuf> = OnceLock::new();
    COMMAND.get_or_init(|| {
        if let Some(command) = std::env::var_os("ZQLITE_COMMAND") {
            return command.into();
        }
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).unwrap().join("command");
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--locked",
            "--quiet",
            "-p",
            "zqlite-cli",
            "--manifest-path",
        ]);
        build.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml"));
        build.arg("--target-dir").arg(&target);
        assert!(build.status().unwrap().success(), "the command is built");
        target.join("debug/zqlite")
    })
}

/// Writes the files of a guide into a new folder, runs its commands there, and gives what they printed.
fn follow(guide: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides");
    let text = fs::read_to_string(path.join(guide)).unwrap();
    symlink(library(), folder.path().join("libzqlite.so")).unwrap();
    let programs = folder.path().join("bin");
    fs::create_dir(&programs).unwrap();
    symlink(command(), programs.join("zqlite")).unwrap();
    if let Ok(node) = std::env::var("ZQLITE_NODE") {
        symlink(node, programs.join("node")).unwrap();
    }
    let paths = std::env::var_os("PATH").unwrap();
    let paths: Vec<_> = [programs]
        .into_iter()
        .chain(std::env::split_paths(&paths))
        .collect();
    let mut script = String::from("set -eu\n");
    let mut name = None;
    let mut blocks = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(file) = line
            .strip_prefix('`')
            .and_then(|line| line.strip_suffix("`:"))
        {
            name = Some(file.to_owned());
        }
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        let block = block.join("\n") + "\n";
        blocks += 1;
        match (language, name.take()) {
            ("sh", None) => script.push_str(&block),
            (_, Some(name)) => fs::write(folder.path().join(name), block).unwrap(),
            (language, None) => panic!("{guide}: a block of {language} without a name"),
        }
    }
    assert!(blocks >= 3, "{guide}: {blocks}");
    let run = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", std::env::join_paths(paths).unwrap())
        .env("ZQLITE_INCLUDE", env!("CARGO_MANIFEST_DIR"))
        .env("GOCACHE", folder.path().join("go-cache"))
        .output()
        .unwrap();
    let printed = succeeded(guide, run);
    let sealed = fs::read(folder.path().join("app.db")).unwrap();
    assert!(sealed.starts_with(b"zqlite sealed"), "{guide}");
    printed
}

#[test]
fn the_guide_of_the_shell_works() {
    if exists("sqlite3", &["--version"]) {
        let printed = follow("sqlite-shell.md");
        let lines: Vec<_> = printed
            .lines()
            .filter(|line| !line.starts_with("age1"))
            .collect();
        assert_eq!((lines[0], lines[1]), ("wal", "secret"), "{printed}");
        assert!(lines[2].starts_with("{\"zqlite\":"), "{printed}");
        assert_eq!(lines[3], "ok", "{printed}");
        assert!(lines.ends_with(&["7", "lab"]), "{printed}");
    }
}

#[test]
fn the_guide_of_python_works() {
    if exists(
        PYTHON,
        &[
            "-c",
            "import sqlite3; sqlite3.Connection.enable_load_extension",
        ],
    ) {
        let printed = follow("python.md");
        assert!(printed.ends_with("[('secret',)]\nok\n"), "{printed}");
    }
}

#[test]
fn the_guide_of_node_works() {
    if exists(&node::node(), &["-e", node::CHECK]) {
        let printed = follow("node.md");
        assert!(printed.contains("x: 'secret'"), "{printed}");
        assert!(printed.contains("'ok'"), "{printed}");
    }
}

#[test]
fn the_guide_of_go_works() {
    if go::here() {
        let printed = follow("go.md");
        assert!(printed.ends_with("secret ok\n"), "{printed}");
    }
}

#[test]
fn the_guide_of_c_works() {
    if exists("cc", &["--version"]) && Path::new("/usr/include/sqlite3.h").exists() {
        let printed = follow("c.md");
        assert!(printed.ends_with("wal\nsecret\n"), "{printed}");
    }
}
