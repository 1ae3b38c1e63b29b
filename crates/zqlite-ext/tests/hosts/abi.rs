//! What other programs are compiled against: the header, the symbols, and no SQLite of our own.

use std::fs;
use std::path::Path;

use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};

use crate::support::{exists, library, run};

const PREAMBLE: &str = "/* The C API of zqlite: what sqlite3.h lacks, and no more. Generated from crates/zqlite-ext/src; do not edit.
 *
 * Functions return a ZQLITE_ code. Where one takes `error`, it may be null; else it receives null, or a message to be
 * freed with zqlite_free. All functions may be called from any thread. Keys are copied, and wiped with their keyring.
 *
 * The library has no SQLite in it: it uses the one that loads it. Programs that link it say, before they open their
 * first connection: sqlite3_auto_extension((void (*)(void))zqlite_auto_init); and open a connection.
 */";

/// The header as it would be written now.
fn header() -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut config = Config {
        language: Language::C,
        style: Style::Type,
        header: Some(PREAMBLE.to_owned()),
        include_guard: Some("ZQLITE_H".to_owned()),
        no_includes: true,
        sys_includes: vec!["sqlite3.h".into(), "stddef.h".into(), "stdint.h".into()],
        after_includes: Some("\nstruct sqlite3_api_routines;".to_owned()),
        cpp_compat: true,
        usize_is_size_t: true,
        documentation_style: DocumentationStyle::C,
        line_length: 110,
        ..Config::default()
    };
    for (rust, c) in [
        ("Keyring", "zqlite_keyring"),
        ("Inspection", "zqlite_inspection"),
        ("sqlite3_api_routines", "struct sqlite3_api_routines"),
    ] {
        config.export.rename.insert(rust.to_owned(), c.to_owned());
    }
    // SQLite finds it by its name.
    config.export.exclude.push("sqlite3_zqlite_init".to_owned());
    let mut builder = Builder::new().with_config(config);
    for file in [
        "api.rs",
        "api/keyring.rs",
        "api/register.rs",
        "api/file.rs",
        "api/act.rs",
        "entry.rs",
    ] {
        builder = builder.with_src(source.join(file));
    }
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn the_header_is_what_the_source_generates() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("zqlite.h");
    let now = header();
    if std::env::var_os("ZQLITE_WRITE_HEADER").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written == now,
        "zqlite.h is not what the source generates: run the tests once with ZQLITE_WRITE_HEADER=1"
    );
}

/// Every symbol that the library gives out. None is ever removed, none changes its meaning.
const SYMBOLS: [&str; 20] = [
    "sqlite3_zqlite_init",
    "zqlite_auto_init",
    "zqlite_free",
    "zqlite_inspect",
    "zqlite_keyring_add_identity",
    "zqlite_keyring_add_identity_file",
    "zqlite_keyring_add_passphrase",
    "zqlite_keyring_add_passphrase_file",
    "zqlite_keyring_add_raw_key",
    "zqlite_keyring_add_raw_key_file",
    "zqlite_keyring_free",
    "zqlite_keyring_new",
    "zqlite_last_error",
    "zqlite_register",
    "zqlite_rekey",
    "zqlite_seal",
    "zqlite_unregister",
    "zqlite_verify",
    "zqlite_verify_seal",
    "zqlite_version",
];

#[test]
fn the_library_gives_out_its_api_and_nothing_else() {
    if !exists("nm", &["--version"]) {
        return;
    }
    let table = run("nm", ["-D", "--defined-only", library().to_str().unwrap()]);
    let symbols: Vec<_> = table
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(symbols, SYMBOLS);
}

#[test]
fn there_is_no_sqlite_in_the_library_and_none_is_linked() {
    if !exists("nm", &["--version"]) {
        return;
    }
    let library = library().to_str().unwrap();
    let asked = run("nm", ["-D", "--undefined-only", library]);
    assert!(
        asked.contains("pthread") || asked.contains("malloc"),
        "{asked}"
    );
    assert!(!asked.contains("sqlite3_"), "{asked}");
    // The symbols of a debug build are all there: SQLite's own functions would be among them.
    let inside = run("nm", ["--defined-only", library]);
    let functions = [
        "sqlite3_open_v2",
        "sqlite3BtreeOpen",
        "sqlite3VdbeExec",
        "sqlite3_step",
    ];
    let is_defined = |name: &str| {
        inside
            .lines()
            .any(|line| line.ends_with(&format!(" {name}")))
    };
    assert!(is_defined("sqlite3_zqlite_init"));
    for function in functions {
        assert!(!is_defined(function), "{function}");
    }
}
