//! Go with Debian's `golang-github-mattn-go-sqlite3-dev`, which links the system's SQLite.

use std::path::Path;
use std::process::Command;

use crate::support::{Folder, exists, extension, run, succeeded};

/// Where Debian keeps the sources of Go's packages.
pub(crate) const GO_PATH: &str = "/usr/share/gocode";

pub(crate) fn here() -> bool {
    let driver = Path::new(GO_PATH).join("src/github.com/mattn/go-sqlite3");
    if !driver.is_dir() {
        println!("skipped: there is no {}", driver.display());
        return false;
    }
    exists("go", &["version"])
}

#[test]
fn go_works_on_a_sealed_file() {
    if !here() {
        return;
    }
    let folder = Folder::new();
    let wrong = folder.uri().replace("id.key", "other.key");
    let binary = folder.path("host");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/programs/host.go");
    let mut build = Command::new("go");
    build.args(["build", "-tags", "libsqlite3", "-o", &binary, source]);
    build.env("GO111MODULE", "off").env("GOPATH", GO_PATH);
    build.env("GOCACHE", folder.path("go-cache"));
    build.env("GOFLAGS", "-p=2");
    succeeded("go", build.output().unwrap());
    let printed = run(&binary, [&extension(), &folder.uri(), &wrong]);
    assert_eq!(printed, "1000 rows\n");
    folder.assert_sealed("very secret words");
}
