//! URIs that name keys: a file opens only for a key of its own and an accepted maker, whatever else stands in the URI, and
//! no error repeats a secret that somebody put there.
#![no_main]

use std::fs;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use zqlite::keys::{Expected, Identity, NewSlot, RawKey, SigningKey, SlotKey};
use zqlite::rusqlite::{self, Connection, OpenFlags};
use zqlite::{Builder, vfs};

#[path = "store.rs"]
mod store;

const PARAMETERS: [&str; 9] = [
    "identity",
    "raw_key_file",
    "passphrase_file",
    "signed_by",
    "create_recipient",
    "accept_any_maker",
    "mode",
    "cache",
    "Identity",
];
/// What stands in the folder, and what does not.
const VALUES: [&str; 14] = [
    "good.identity",
    "bad.identity",
    "good.raw",
    "bad.raw",
    "owner.verify",
    "other.verify",
    "a.db",
    "empty",
    ".",
    "missing",
    "1",
    "0",
    "",
    "%67ood.identity",
];

struct Bench {
    folder: store::Folder,
    secret: String,
}

/// A parameter with its value, and what of [`VALUES`] that is.
#[derive(Debug)]
struct Given {
    parameter: &'static str,
    value: String,
    meant: &'static str,
}

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let folder = store::Folder::new();
        let (good, bad) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
        let (owner, other) = (
            SigningKey::from_seed([3; 32]),
            SigningKey::from_seed([4; 32]),
        );
        let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("a file");
        write("good.identity", good.to_text().as_bytes());
        write("bad.identity", bad.to_text().as_bytes());
        write("good.raw", &[5; 32]);
        write("bad.raw", &[6; 32]);
        write("owner.verify", owner.verifying_key().to_string().as_bytes());
        write("other.verify", other.verifying_key().to_string().as_bytes());
        write("empty", b"");
        let keys = [
            SlotKey::Recipient(good.recipient()),
            SlotKey::RawKey(RawKey::from_bytes([5; 32])),
        ];
        let slots = keys.map(|key| NewSlot {
            key,
            label: String::new(),
        });
        let signed_by = Expected {
            key: owner.verifying_key().clone(),
            file_id: None,
        };
        let secret = bad.to_text().as_bytes().to_vec();
        let connection = Builder::new(folder.join("a.db"))
            .identity(good)
            .signed_by(signed_by)
            .create(slots.into())
            .sign_with(owner)
            .open()
            .expect("a database");
        connection
            .execute_batch("CREATE TABLE t(x)")
            .expect("a table");
        vfs::register().expect("the VFS");
        vfs::permit_uri_keys();
        Bench {
            folder,
            secret: String::from_utf8(secret).expect("text").trim().to_owned(),
        }
    })
}

// Input: pairs of bytes, a parameter and a value each; a value from 0xf0 on takes what follows, up to a zero, as it is,
// or is a secret key.
fuzz_target!(|input: &[u8]| {
    let bench = bench();
    let mut rest = input.iter().copied();
    let mut given: Vec<Given> = Vec::new();
    while let (Some(parameter), Some(value)) = (rest.next(), rest.next()) {
        let parameter = PARAMETERS[usize::from(parameter) % PARAMETERS.len()];
        let (value, meant) = match value {
            // SQLite repeats what its own parameters hold.
            0xf0 if PARAMETERS[..6].contains(&parameter) => (bench.secret.clone(), ""),
            0xf0.. => {
                let raw = rest.by_ref().take_while(|byte| *byte != 0);
                let raw = raw.filter(|byte| !b"&#%".contains(byte));
                (raw.map(char::from).collect(), "")
            }
            index => {
                let meant = VALUES[usize::from(index) % VALUES.len()];
                let is_file = meant.len() > 1 || meant == ".";
                let folder = bench.folder.join("");
                let value = if is_file {
                    format!("{}{meant}", folder.display())
                } else {
                    meant.to_owned()
                };
                (value, meant)
            }
        };
        given.push(Given {
            parameter,
            value,
            meant,
        });
        if given.len() == 6 {
            break;
        }
    }
    check(bench, &given);
});

fn check(bench: &Bench, given: &[Given]) {
    let path = bench.folder.join("a.db");
    let mut uri = format!("file:{}?vfs=zqlite", path.display());
    for Given {
        parameter, value, ..
    } in given
    {
        uri.push_str(&format!("&{parameter}={value}"));
    }
    drop(vfs::take_last_error());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let opened = Connection::open_with_flags(&uri, flags).and_then(|connection| {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
    });
    let has = |parameter: &str, values: &[&str]| {
        let mut named = given.iter().filter(|given| given.parameter == parameter);
        named.any(|given| values.contains(&given.meant))
    };
    let names = |parameter: &str| {
        given
            .iter()
            .filter(|given| given.parameter == parameter)
            .count()
    };
    let good = ["good.identity", "%67ood.identity"];
    let has_key = has("identity", &good) || has("raw_key_file", &["good.raw"]);
    let is_ours = |given: &&Given| PARAMETERS[..6].contains(&given.parameter);
    match opened {
        Ok(rows) => {
            assert_eq!(rows, 0);
            assert!(has_key, "{given:?}");
            assert!(!has("signed_by", &["other.verify"]), "{given:?}");
            assert!(
                PARAMETERS[..6].iter().all(|name| names(name) <= 1),
                "{given:?}"
            );
            let maker = has("signed_by", &["owner.verify"]) || has("accept_any_maker", &["1"]);
            assert!(maker || has("raw_key_file", &["good.raw"]), "{given:?}");
        }
        Err(error) => {
            let reason = vfs::take_last_error().map(|error| error.to_string());
            let said = format!("{error} {}", reason.unwrap_or_default());
            // rusqlite repeats the path that it was given; what is ours does not.
            let ours = said.replace(&uri, "");
            assert!(!ours.contains(&bench.secret), "{given:?}");
            let ours: Vec<_> = given.iter().filter(is_ours).collect();
            let plain = given.len() == ours.len() && ours.len() == 2;
            let right = has("identity", &good) && has("signed_by", &["owner.verify"]);
            assert!(!(plain && right), "{given:?}: {said}");
            assert!(
                matches!(error, rusqlite::Error::SqliteFailure(..)),
                "{error}"
            );
        }
    }
}
