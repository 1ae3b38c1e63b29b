//! Virtual tables and compressed columns: the command and the hosts write them in turn, each through triggers and views
//! that the other made.

use std::process::{Command, Output};

use crate::guides::command;
use crate::python::PYTHON;
use crate::support::{Folder, exists, extension, run, succeeded, texts};

const SCHEMA: &str = "CREATE TABLE routes(id INTEGER PRIMARY KEY, prefix TEXT UNIQUE, via TEXT);
    INSERT INTO routes(prefix, via) VALUES ('0.0.0.0/0', 'uplink'), ('10.0.0.0/8', 'office');
    CREATE VIRTUAL TABLE route_ip USING cidr(routes, prefix);
    CREATE TABLE peers(id INTEGER PRIMARY KEY, os TEXT, meta TEXT NOT NULL);
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 500)
    INSERT INTO peers SELECT x, 'linux', json_object('host', 'host-' || x || '.example.org', 'tags', 'a b c') FROM n;
    CREATE VIRTUAL TABLE load USING timeseries(chunk=256);
    INSERT INTO load VALUES ('web', 1000, 0.5);";

/// `app.db` with an index, a compressed column and a time series, made by the command.
fn make(folder: &Folder) {
    let plain = folder.path("plain.db");
    let empty = ["sqlite3", &plain, "PRAGMA user_version=1;"];
    run(empty[0], &empty[1..]);
    zqlite(
        folder,
        "encrypt",
        &[&plain, &folder.path("app.db"), "-R", &folder.path("id.pub")],
        &[],
    );
    query(folder, SCHEMA);
    zqlite(
        folder,
        "compress",
        &[&folder.path("app.db"), "peers", "meta"],
        &["-i"],
    );
    // Of a table that is behind a view by now, an index is one of its rows.
    query(
        folder,
        "CREATE VIRTUAL TABLE peer_os USING bitmap(peers_zqlite_rows, os)",
    );
}

/// Runs the command, with the key if that is asked for.
fn zqlite(folder: &Folder, command_name: &str, args: &[&str], key: &[&str]) -> String {
    let mut run = Command::new(command());
    run.arg(command_name).args(args).arg("-q").args(key);
    if !key.is_empty() {
        run.arg(folder.path("id.key"));
    }
    succeeded("zqlite", run.output().unwrap())
}

fn query(folder: &Folder, sql: &str) -> String {
    let app = folder.path("app.db");
    zqlite(folder, "query", &[&app, "--csv", "--write", sql], &["-i"])
}

fn shell(uri: &str, lines: &[&str]) -> Output {
    let mut shell = Command::new("sqlite3");
    shell.args(["-bail", "-batch", "-init", "/dev/null", ":memory:"]);
    shell.args([&format!(".load {}", extension()), &format!(".open '{uri}'")]);
    shell.args(lines).output().unwrap()
}

/// What a host writes.
const WRITES: [&str; 7] = [
    "INSERT INTO routes(prefix, via) VALUES ('10.1.0.0/16', 'lab'), ('fd00::/8', 'tunnel');",
    "REPLACE INTO routes(prefix, via) VALUES ('10.0.0.0/8', 'branch');",
    "BEGIN; DELETE FROM routes; UPDATE peers SET meta = ''; ROLLBACK;",
    "INSERT INTO peers VALUES (1000, 'plan9', json_object('host', 'host-1000.example.org', 'tags', 'a b c'));",
    "UPDATE peers SET meta = json_set(meta, '$.tags', 'new'), os = 'macos' WHERE id = 7;",
    "DELETE FROM peers WHERE id = 8;",
    "INSERT INTO load VALUES ('web', 1015, 2.5), ('web', 1000, 4.5);",
];

/// Questions to what was written, and the answers.
const ANSWERS: [(&str, &str); 6] = [
    (
        "SELECT group_concat(via) FROM (SELECT via FROM routes JOIN route_ip ON route_ip.rowid = routes.id WHERE covers = '10.1.2.3' ORDER BY length)",
        "uplink,branch,lab",
    ),
    ("SELECT count(*) FROM route_ip WHERE overlaps = '::/0'", "1"),
    (
        "SELECT group_concat(meta ->> 'tags') FROM peers WHERE id IN (1, 7, 8, 1000)",
        "a b c,new,a b c",
    ),
    ("SELECT count FROM peer_os WHERE os = 'linux'", "498"),
    (
        "SELECT count(*), count(DISTINCT meta) FROM peers WHERE json_valid(meta)",
        "500,500",
    ),
    (
        "SELECT sum FROM load WHERE series = 'web' AND bucket = 3600",
        "7.0",
    ),
];

fn assert_answers(folder: &Folder) {
    for (sql, answer) in ANSWERS {
        let printed = query(folder, sql);
        let last = printed.lines().last().unwrap().trim_matches('"');
        assert_eq!(last, answer, "{sql}");
    }
    let app = folder.path("app.db");
    zqlite(folder, "verify", &[&app], &["-i"]);
    let stored: u32 = query(
        folder,
        "SELECT count(zqlite_dictionary_of(meta)) FROM peers_zqlite_rows",
    )
    .lines()
    .last()
    .unwrap()
    .parse()
    .unwrap();
    assert_eq!(stored, 500, "each value is compressed with the dictionary");
}

#[test]
fn the_shell_writes_indexed_tables_compressed_columns_and_time_series() {
    if !exists("sqlite3", &["--version"]) {
        return;
    }
    let folder = Folder::new();
    make(&folder);
    succeeded("sqlite3", shell(&folder.uri(), &WRITES));
    assert_answers(&folder);
    // And back: what the command writes, the shell finds.
    query(
        &folder,
        "INSERT INTO routes(prefix, via) VALUES ('10.1.2.0/24', 'desk')",
    );
    query(
        &folder,
        "UPDATE peers SET meta = json_object('host', 'renamed') WHERE id = 9",
    );
    let lines = [
        "SELECT via FROM route_ip('10.1.2.3') JOIN routes ON routes.id = route_ip.rowid;",
        "SELECT meta ->> 'host' FROM peers WHERE id = 9;",
        "PRAGMA zqlite_verify;",
    ];
    let read = succeeded("sqlite3", shell(&folder.uri(), &lines));
    assert_eq!(read, "desk\nrenamed\nok\n");
    folder.assert_sealed("host-1000.example.org");
}

#[test]
fn opening_a_sealed_file_logs_nothing_and_does_not_wait_for_its_lock() {
    if !exists("sqlite3", &["--version"]) {
        return;
    }
    let folder = Folder::new();
    let open = format!(".open '{}'", folder.uri());
    let locked = "PRAGMA journal_mode=DELETE; BEGIN EXCLUSIVE; CREATE TABLE t(x);";
    let other = format!(
        ".shell sqlite3 -batch -init /dev/null :memory: '.log stderr' '.load {}' \".open '{}'\" 'SELECT zqlite_dictionary_of(NULL) IS NULL;' 2>&1",
        extension(),
        folder.uri()
    );
    let load = format!(".load {}", extension());
    let mut shell = Command::new("sqlite3");
    shell.args(["-bail", "-batch", "-init", "/dev/null", ":memory:"]);
    shell.args([".log stderr", &load, &open, locked, &other, "COMMIT;"]);
    let (stdout, stderr) = texts(&shell.output().unwrap());
    // What the inner shell logs comes with what it prints.
    assert!(
        stdout.contains("1\n") && stdout.contains("delete\n"),
        "{stdout}"
    );
    for said in [stdout, stderr] {
        assert!(!said.contains("dictionary_of"), "{said}");
        assert!(!said.contains("locked"), "{said}");
    }
}

#[test]
fn the_shell_makes_indexes_that_the_command_reads() {
    if !exists("sqlite3", &["--version"]) {
        return;
    }
    let folder = Folder::new();
    let lines = SCHEMA.split_inclusive(";\n").collect::<Vec<_>>();
    succeeded("sqlite3", shell(&folder.uri(), &lines));
    let printed = query(&folder, "SELECT prefix FROM route_ip('10.1.2.3')");
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        ["prefix", "10.0.0.0/8"]
    );
    query(&folder, "DELETE FROM routes WHERE via = 'office'");
    let read = shell(&folder.uri(), &["SELECT prefix FROM route_ip('10.1.2.3');"]);
    assert_eq!(succeeded("sqlite3", read), "0.0.0.0/0\n");
}

#[test]
fn without_the_extension_a_decrypted_file_is_not_written_past_its_indexes() {
    if !exists("sqlite3", &["--version"]) {
        return;
    }
    let folder = Folder::new();
    make(&folder);
    let plain = folder.path("again.db");
    zqlite(
        &folder,
        "decrypt",
        &[&folder.path("app.db"), &plain],
        &["-i"],
    );
    for (sql, says) in [(WRITES[0], "no such module: cidr"), (WRITES[4], "zqlite_")] {
        let output = Command::new("sqlite3")
            .args(["-batch", &plain, sql])
            .output();
        let (_, stderr) = texts(&output.unwrap());
        assert!(stderr.contains(says), "{sql}: {stderr}");
    }
    // On a plain file the extension leaves the host's settings alone: who writes indexes switches one on.
    let load = format!(".load {}", extension());
    let with = |lines: &[&str]| {
        let mut shell = Command::new("sqlite3");
        shell.args(["-bail", "-batch", "-init", "/dev/null", &plain, &load]);
        shell.args(lines).output().unwrap()
    };
    let (_, stderr) = texts(&with(&[WRITES[0]]));
    assert!(stderr.contains("recursive_triggers"), "{stderr}");
    let on = "PRAGMA recursive_triggers=ON;";
    let all: Vec<_> = [on].into_iter().chain(WRITES).collect();
    succeeded("sqlite3", with(&all));
    for (sql, answer) in ANSWERS {
        let read = with(&[".mode csv", &format!("{sql};")]);
        let read = succeeded("sqlite3", read);
        assert_eq!(read.trim_end().trim_matches('"'), answer, "{sql}");
    }
}

#[test]
fn python_writes_them_and_its_plain_connections_are_left_alone() {
    let check = "import sqlite3; sqlite3.Connection.enable_load_extension";
    if !exists(PYTHON, &["-c", check]) {
        return;
    }
    let folder = Folder::new();
    make(&folder);
    let program = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/hosts/programs/tables.py"
    );
    let writes = WRITES.join("\n");
    let args = [
        program,
        &extension(),
        &folder.uri(),
        &folder.path("own.db"),
        &writes,
    ];
    assert_eq!(run(PYTHON, args), "written\n");
    assert_answers(&folder);
}

/// The bindings for hosts of any age do not tell what an IN is: SQLite asks for its values one by one, without their type.
#[test]
fn a_join_compares_as_the_table_does_and_so_does_a_list_that_is_cast() {
    if !exists("sqlite3", &["--version"]) {
        return;
    }
    let load = format!(".load {}", extension());
    let mut shell = Command::new("sqlite3");
    shell.args(["-bail", "-batch", "-init", "/dev/null", ":memory:"]);
    shell.args([
        &load,
        "PRAGMA recursive_triggers=ON;",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t(v) VALUES ('1'), ('1.0'), ('a'), (NULL);",
        "CREATE TABLE o(x INTEGER); INSERT INTO o VALUES (1), (2);",
        "CREATE VIRTUAL TABLE b USING bitmap(t, v);",
        "SELECT 'table', count(*) FROM o JOIN t ON t.v = o.x;",
        "SELECT 'join', count(b.rowid) FROM o JOIN b ON b.v = o.x;",
        "SELECT 'parameters', group_concat(rowid) FROM b WHERE v IN ('1.0', 'a');",
        "SELECT 'cast', group_concat(rowid) FROM b WHERE v IN (SELECT CAST(x AS TEXT) FROM o);",
        "SELECT 'cast table', group_concat(id) FROM t WHERE v IN (SELECT CAST(x AS TEXT) FROM o);",
    ]);
    let output = shell.output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(
        stdout.lines().collect::<Vec<_>>(),
        [
            "table|2",
            "join|2",
            "parameters|2,3",
            "cast|1",
            "cast table|1"
        ]
    );
}
