//! What the tests share: the library as it is built, keys in files, and programs of others.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;
use zqlite::keys::{Identity, SigningKey};
use zqlite::os_rng;

/// The shared library. Cargo builds none for tests: they build it, once.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // target/PROFILE/deps/THIS-TEST
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).unwrap().to_owned();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--locked", "--quiet", "--lib", "--manifest-path"]);
        build.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        build.arg("--target-dir").arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the library is built");
        let library = folder.join("libzqlite.so");
        assert!(library.is_file(), "{}", library.display());
        library
    })
}

/// The library as SQLite is told it: without its suffix.
pub(crate) fn extension() -> String {
    library().with_extension("").to_str().unwrap().to_owned()
}

/// A folder with the key of somebody, and that of somebody else.
pub(crate) struct Folder {
    pub(crate) dir: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let me = Identity::generate(&mut os_rng());
        secret(&dir.path().join("id.key"), me.to_text().as_bytes());
        let other = Identity::generate(&mut os_rng());
        secret(&dir.path().join("other.key"), other.to_text().as_bytes());
        let owner = SigningKey::generate(&mut os_rng());
        secret(&dir.path().join("owner.key"), owner.to_text().as_bytes());
        let owner = owner.verifying_key().to_string();
        fs::write(dir.path().join("owner.pub"), owner).unwrap();
        let recipient = me.recipient().to_string();
        fs::write(dir.path().join("id.pub"), recipient).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// The URI of `app.db`, with the key that opens it and leave to create it.
    pub(crate) fn uri(&self) -> String {
        format!(
            "file:{}?vfs=zqlite&identity={}&create_recipient={}&accept_any_maker=1",
            self.path("app.db"),
            self.path("id.key"),
            self.path("id.pub")
        )
    }

    /// No plaintext of SQLite's stands in `app.db`, which exists.
    pub(crate) fn assert_sealed(&self, secret: &str) {
        let bytes = fs::read(self.path("app.db")).unwrap();
        assert!(bytes.len() > 128 * 1024, "header and pages");
        for needle in ["SQLite format 3", "CREATE TABLE", secret] {
            assert!(!contains(&bytes, needle.as_bytes()), "{needle}");
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// Writes a file of mode 0600.
pub(crate) fn secret(path: &Path, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Whether a program can be started; the test says that it skips if not.
pub(crate) fn exists(program: &str, args: &[&str]) -> bool {
    let found = Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: there is no {program} here that does {args:?}");
    }
    found
}

/// Runs a program, which has to succeed, and gives what it printed.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    succeeded(program, output)
}

pub(crate) fn succeeded(program: &str, output: Output) -> String {
    let (stdout, stderr) = texts(&output);
    assert!(
        output.status.success(),
        "{program}: {}\n{stdout}\n{stderr}",
        output.status
    );
    stdout
}

/// What a program printed, and what it complained of.
pub(crate) fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}
