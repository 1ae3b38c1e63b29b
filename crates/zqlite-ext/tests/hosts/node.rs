//! Node's module `node:sqlite`: from version 22.13 on, with extensions.

use crate::support::{Folder, exists, run};

/// The program that `ZQLITE_NODE` names, else `node`.
pub(crate) fn node() -> String {
    std::env::var("ZQLITE_NODE").unwrap_or_else(|_| "node".to_owned())
}

pub(crate) const CHECK: &str = "new (require('node:sqlite').DatabaseSync)(':memory:', {allowExtension: true}).loadExtension.call";

#[test]
fn node_works_on_a_sealed_file() {
    if !exists(&node(), &["-e", CHECK]) {
        return;
    }
    let folder = Folder::new();
    let wrong = folder.uri().replace("id.key", "other.key");
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/programs/host.mjs");
    let library = crate::support::library().to_str().unwrap();
    let printed = run(&node(), [program, library, &folder.uri(), &wrong]);
    assert_eq!(printed, "1000 rows\n");
    folder.assert_sealed("very secret words");
}
