//! A C program that links the system's SQLite and this library, also under valgrind.

use crate::support::{Folder, exists, library, run};

const SHARED: [&str; 1] = ["-lzqlite"];
/// What Rust's standard library needs.
const STATIC: [&str; 4] = ["-l:libzqlite.a", "-lpthread", "-ldl", "-lm"];

/// Compiles the program against `zqlite.h`; the folder of the library is written into it.
fn compile(folder: &Folder, zqlite: &[&str]) -> Option<String> {
    let probe = folder.path("probe.c");
    std::fs::write(
        &probe,
        "#include <sqlite3.h>\nint main(void) { return !sqlite3_libversion(); }\n",
    )
    .unwrap();
    if !exists("cc", &[&probe, "-o", &folder.path("probe"), "-lsqlite3"]) {
        return None;
    }
    let binary = folder.path("api");
    let libraries = library().parent().unwrap().to_str().unwrap();
    let rpath = format!("-Wl,-rpath,{libraries}");
    let strict = [
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        "-g",
        concat!("-I", env!("CARGO_MANIFEST_DIR")),
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/programs/api.c"),
        "-o",
        &binary,
        "-L",
        libraries,
        &rpath,
    ];
    run("cc", strict.iter().chain(zqlite).chain(&["-lsqlite3"]));
    Some(binary)
}

#[test]
fn every_function_of_the_c_api_does_what_its_header_says() {
    for zqlite in [&SHARED[..], &STATIC] {
        let folder = Folder::new();
        let Some(binary) = compile(&folder, zqlite) else {
            return;
        };
        let printed = run(&binary, [folder.dir.path()]);
        let checks = printed.trim_end().strip_suffix(" checks").unwrap();
        assert!(checks.parse::<u32>().unwrap() >= 107, "{checks}");
    }
}

#[test]
fn the_c_api_leaks_nothing_and_touches_no_memory_that_is_not_its_own() {
    let folder = Folder::new();
    if !exists("valgrind", &["--version"]) {
        return;
    }
    let Some(binary) = compile(&folder, &SHARED) else {
        return;
    };
    let strict = [
        "--quiet",
        "--error-exitcode=99",
        "--leak-check=full",
        concat!(
            "--suppressions=",
            env!("CARGO_MANIFEST_DIR"),
            "/tests/hosts/programs/std.supp"
        ),
        "--errors-for-leak-kinds=definite,indirect,possible",
    ];
    let program = [binary.as_str(), folder.dir.path().to_str().unwrap()];
    let printed = run("valgrind", strict.into_iter().chain(program));
    assert!(printed.ends_with(" checks\n"), "{printed}");
}
