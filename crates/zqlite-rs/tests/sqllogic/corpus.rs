//! Where the scripts come from.

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

/// One script.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// All scripts, in the order of their names; `None` where there are none.
pub(crate) fn files() -> Option<&'static [File]> {
    static FILES: OnceLock<Option<Vec<File>>> = OnceLock::new();
    FILES.get_or_init(unpack).as_deref()
}

fn unpack() -> Option<Vec<File>> {
    let packed =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/sql/sqllogictest-small.tar.xz");
    if !packed.exists() {
        println!("skipped: there is no ../shared/sql beside the repository");
        return None;
    }
    let packed = std::fs::File::open(packed).unwrap();
    let mut archive = tar::Archive::new(liblzma::read::XzDecoder::new(packed));
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.push(File { name, text });
    }
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Some(files)
}
