//! Python's module `sqlite3`, where it was built with extensions.

use crate::support::{Folder, exists, extension, run};

/// Debian's; others are often built without `load_extension`.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

#[test]
fn python_works_on_a_sealed_file() {
    let check = "import sqlite3; sqlite3.Connection.enable_load_extension";
    if !exists(PYTHON, &["-c", check]) {
        return;
    }
    let folder = Folder::new();
    let wrong = folder.uri().replace("id.key", "other.key");
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/programs/host.py");
    let printed = run(PYTHON, [program, &extension(), &folder.uri(), &wrong]);
    assert_eq!(printed, "1000 rows\n");
    folder.assert_sealed("very secret words");
}

#[test]
fn a_uri_that_names_a_database_as_its_key_takes_no_lock_away() {
    if !exists(
        PYTHON,
        &[
            "-c",
            "import sqlite3; sqlite3.Connection.enable_load_extension",
        ],
    ) {
        return;
    }
    let folder = Folder::new();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/programs/locks.py");
    let folder = folder.dir.path().to_str().unwrap();
    assert_eq!(run(PYTHON, [program, &extension(), folder]), "locked\n");
}
