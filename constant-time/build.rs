//! Valgrind's client requests are macros of C.

fn main() {
    println!("cargo:rerun-if-changed=src/memcheck.c");
    cc::Build::new()
        .file("src/memcheck.c")
        .compile("memcheck_requests");
}
