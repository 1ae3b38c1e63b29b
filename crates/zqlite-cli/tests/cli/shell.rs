//! `shell` without a terminal.

use crate::support::{Bench, Run};

fn shell(bench: &Bench, input: &str) -> Run {
    bench.run_with_stdin(["shell", "sealed.db", "-q", "-i", "me.identity"], input)
}

#[test]
fn statements_may_span_lines_and_need_no_last_semicolon() {
    let bench = Bench::with_sealed();
    let input =
        ".mode csv\nSELECT a,\n b FROM t\n WHERE b = 'one'; SELECT ';' AS\n s;\nSELECT 3 AS c";
    let run = shell(&bench, input).ok();
    assert_eq!(run.stdout, "a,b\r\n1,one\r\ns\r\n;\r\nc\r\n3\r\n");
}

#[test]
fn commands_begin_with_a_point() {
    let bench = Bench::with_sealed();
    bench.write(
        "more.sql",
        "CREATE TABLE u(x);\n.mode json\nSELECT 1 AS a;\n",
    );
    let run = shell(
        &bench,
        ".read more.sql\n.tables\n.schema u\n.quit\nSELECT 2;\n",
    )
    .ok();
    assert_eq!(run.stdout, "[{\"a\":1}]\nt\nu\nCREATE TABLE u(x);\n");
    assert!(shell(&bench, ".help\n").ok().stdout.contains(".dump"));
    shell(&bench, ".nonsense\n").fails_with(1, "no such command");
    shell(&bench, ".read more.missing\n").fails_with(1, "more.missing");
    bench.write("loop.sql", ".read loop.sql\n");
    shell(&bench, ".read loop.sql\n").fails_with(1, "deep");
}

#[test]
fn the_first_error_ends_it_and_names_the_line() {
    let bench = Bench::with_sealed();
    let run = shell(
        &bench,
        "SELECT 1 AS a;\nSELECT * FROM missing;\nSELECT 2;\n",
    );
    let run = run.fails_with(1, "stdin, line 2: no such table: missing");
    assert_eq!(run.stdout, "a\n-\n1\n");
}

#[test]
fn it_writes_unless_told_not_to() {
    let bench = Bench::with_sealed();
    shell(&bench, "INSERT INTO t VALUES (3, 'three');\n").ok();
    assert!(
        bench
            .query(["SELECT b FROM t"])
            .ok()
            .stdout
            .contains("three")
    );
    let args = ["shell", "sealed.db", "--read-only", "-i", "me.identity"];
    bench
        .run_with_stdin(args, "DELETE FROM t;\n")
        .fails_with(1, "readonly");
}

#[test]
fn the_schema_table_is_written_only_where_asked() {
    let bench = Bench::with_sealed();
    let dump = "PRAGMA writable_schema=ON; INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) \
        VALUES('table','f','f',0,'CREATE VIRTUAL TABLE f USING fts5(x)'); PRAGMA writable_schema=OFF;\n";
    shell(&bench, dump).fails_with(1, "may not be modified");
    let args = [
        "shell",
        "sealed.db",
        "-i",
        "me.identity",
        "--allow-schema-writes",
    ];
    bench.run_with_stdin(args, dump).ok();
    assert!(shell(&bench, ".schema f\n").ok().stdout.contains("fts5"));
    let both = ["shell", "sealed.db", "--read-only", "--allow-schema-writes"];
    bench.run(both).fails_with(2, "cannot be used with");
}

#[test]
fn history_is_kept_only_where_asked() {
    let bench = Bench::with_sealed();
    let before = bench.names();
    shell(&bench, "SELECT 1;\n").ok();
    assert_eq!(bench.names(), before);
}

#[test]
fn dump_of_one_table_has_its_indexes() {
    let bench = Bench::with_sealed();
    shell(&bench, "CREATE INDEX t_a ON t(a); CREATE TABLE u(x);\n").ok();
    let run = shell(&bench, ".dump t\n").ok();
    assert!(run.stdout.contains("CREATE INDEX t_a") && !run.stdout.contains("CREATE TABLE u"));
    assert!(run.stdout.ends_with("COMMIT;\n"));
}
