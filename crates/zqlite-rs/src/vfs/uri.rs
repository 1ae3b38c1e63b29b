//! Keys that a URI names: `file:app.db?vfs=zqlite&identity=/path/id.key`. Off unless the process permits it.
//!
//! A URI names files, never keys: SQL, logs and error messages repeat it.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;
use zqlite_pq::header::{Expected, Keyring, NewSlot, SlotKey};
use zqlite_pq::page::PageSize;

use super::Access;
use crate::Error;
use crate::key_file::{self, ExpectedText, looks_like_key, looks_like_secret};

static PERMITTED: AtomicBool = AtomicBool::new(false);

/// From now on, files without registered keys are opened with those that their URI names.
///
/// The parameters: `identity`, `passphrase_file` and `raw_key_file` name a file each; `signed_by` and
/// `create_recipient` hold a public key or name a file of them; `accept_any_maker=1`. Whoever can choose a URI, by
/// `ATTACH` too, then chooses which files the process reads as keys, though he never sees what stands in them.
pub fn permit_uri_keys() {
    PERMITTED.store(true, Ordering::Relaxed);
}

pub(super) fn are_permitted() -> bool {
    PERMITTED.load(Ordering::Relaxed)
}

/// The parameters that are ours. The others are SQLite's, or another VFS's.
pub(super) const PARAMETERS: [&str; 6] = [
    "identity",
    "passphrase_file",
    "raw_key_file",
    "signed_by",
    "create_recipient",
    "accept_any_maker",
];

/// One of [`PARAMETERS`] with its value.
pub(super) struct Given {
    pub(super) parameter: &'static str,
    pub(super) value: OsString,
}

/// Whether a file's mode matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Secret,
    Public,
}

/// Reads a key file.
type ReadFile<'a> = dyn Fn(&Path, Content) -> io::Result<Zeroizing<Vec<u8>>> + 'a;

/// Keys and rules from the parameters of one URI.
///
/// # Errors
/// [`Error::Uri`], which repeats no value: it might be a secret in the wrong place.
pub(super) fn access(given: &[Given], read: &ReadFile<'_>) -> Result<Access, Error> {
    let mut keyring = Keyring::new();
    let mut expected = None;
    let mut slots = Vec::new();
    let mut any_maker = false;
    for (at, Given { parameter, value }) in given.iter().enumerate() {
        let refused = |what: &str| refuse(parameter, what);
        if given.iter().take(at).any(|g| g.parameter == *parameter) {
            return Err(refused("is given twice"));
        }
        if value.is_empty() {
            return Err(refused("has no value"));
        }
        let text = value.to_str();
        if text.is_some_and(looks_like_secret) {
            return Err(refused(
                "holds a secret key, where the path of a file belongs; the key has to be replaced if others \
                 may have seen it",
            ));
        }
        let file =
            |content| read(Path::new(value), content).map_err(|error| refused(&error.to_string()));
        let parsed = |error: key_file::KeyFileError| refused(&error.to_string());
        match *parameter {
            "identity" => key_file::identities(&file(Content::Secret)?)
                .map_err(parsed)?
                .into_iter()
                .for_each(|identity| keyring.add_identity(identity)),
            "passphrase_file" => {
                keyring
                    .add_passphrase(key_file::passphrase(&file(Content::Secret)?).map_err(parsed)?);
            }
            "raw_key_file" => {
                keyring.add_raw_key(key_file::raw_key(&file(Content::Secret)?).map_err(parsed)?);
            }
            "signed_by" => {
                let text = text.ok_or_else(|| refused("is no Unicode text"))?;
                expected = Some(expect(text, read).map_err(|what| refused(&what))?);
            }
            "create_recipient" => {
                let recipients = match text.filter(|text| looks_like_key(text)) {
                    Some(text) => vec![text.parse().map_err(|error| parsed(error_of(error)))?],
                    None => key_file::recipients(&file(Content::Public)?).map_err(parsed)?,
                };
                slots.extend(recipients.into_iter().map(|recipient| NewSlot {
                    key: SlotKey::Recipient(recipient),
                    label: String::new(),
                }));
            }
            "accept_any_maker" => {
                any_maker = match text {
                    Some("1") => true,
                    Some("0") => false,
                    _ => return Err(refused("is neither 0 nor 1")),
                };
            }
            _ => return Err(refused("is not known")),
        }
    }
    if expected.is_some() && any_maker {
        return Err(refuse("signed_by", "contradicts accept_any_maker=1"));
    }
    if expected.is_some() && !slots.is_empty() {
        return Err(refuse(
            "create_recipient",
            "makes files that nobody signs, which signed_by would refuse ever after",
        ));
    }
    let mut access = Access::new(keyring);
    if let Some(expected) = expected {
        access = access.signed_by(expected);
    }
    if any_maker {
        access = access.accept_any_maker();
    }
    if !slots.is_empty() {
        access = access.create(slots, PageSize::default(), None);
    }
    Ok(access)
}

/// `KEY[@FILE-ID]`.
fn expect(text: &str, read: &ReadFile<'_>) -> Result<Expected, String> {
    let text = ExpectedText::parse(text).map_err(|error| error.to_string())?;
    let key = if text.is_key_text {
        text.key.parse().map_err(error_of)
    } else {
        let content =
            read(Path::new(text.key), Content::Public).map_err(|error| error.to_string())?;
        key_file::verifying_key(&content)
    };
    Ok(Expected {
        key: key.map_err(|error| error.to_string())?,
        file_id: text.file_id,
    })
}

fn error_of(error: zqlite_pq::text::KeyTextError) -> key_file::KeyFileError {
    error.into()
}

pub(super) fn refuse(parameter: &'static str, what: &str) -> Error {
    Error::Uri {
        parameter,
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os_rng;
    use zqlite_pq::{Identity, SigningKey};

    fn given(parameter: &'static str, value: &str) -> Given {
        Given {
            parameter,
            value: value.into(),
        }
    }

    fn access_of(given: &[Given]) -> Result<Access, String> {
        let read = |path: &Path, _| match path.to_str() {
            Some("/id") => Ok(Zeroizing::new(
                Identity::generate(&mut os_rng())
                    .to_text()
                    .as_bytes()
                    .to_vec(),
            )),
            Some("/empty") => Ok(Zeroizing::new(Vec::new())),
            Some("/pass") => Ok(Zeroizing::new(b"secret\n".to_vec())),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        access(given, &read).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_in_the_place_of_a_path_is_refused_and_not_repeated() {
        let identity = Identity::generate(&mut os_rng()).to_text();
        let signing = SigningKey::generate(&mut os_rng()).to_text();
        let hex = "5a".repeat(32);
        let lower = identity.to_lowercase();
        let mut cases = 0;
        for parameter in &PARAMETERS[..5] {
            for secret in [identity.as_str(), lower.as_str(), signing.as_str(), &hex] {
                let error = access_of(&[given(parameter, secret)]).unwrap_err();
                assert!(error.contains("a secret key, where"), "{error}");
                assert!(!error.to_lowercase().contains(&secret[..20].to_lowercase()));
                cases += 1;
            }
        }
        assert_eq!(cases, 20);
        let error = access_of(&[given("passphrase_file", "correct horse")]).unwrap_err();
        assert!(!error.contains("horse"), "{error}");
        assert!(access_of(&[given("passphrase_file", "/pass")]).is_ok());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let signer = SigningKey::generate(&mut os_rng());
        let signer = signer.verifying_key().to_string();
        let recipient = Identity::generate(&mut os_rng()).recipient().to_string();
        let good: [&[Given]; 4] = [
            &[given("identity", "/id"), given("signed_by", &signer)],
            &[given("identity", "/id"), given("accept_any_maker", "1")],
            &[given("create_recipient", &recipient)],
            &[given("signed_by", &signer), given("accept_any_maker", "0")],
        ];
        for given in good {
            assert!(access_of(given).is_ok());
        }
        let bad: [(&[Given], &str); 9] = [
            (
                &[given("identity", "/id"), given("identity", "/id")],
                "twice",
            ),
            (&[given("identity", "")], "no value"),
            (&[given("identity", "/empty")], "no key in this file"),
            (&[given("identity", &recipient)], "entity not found"),
            (&[given("accept_any_maker", "yes")], "neither"),
            (&[given("signed_by", &recipient)], "this is a recipient"),
            (
                &[given("create_recipient", &signer)],
                "this is a verifying key",
            ),
            (
                &[given("signed_by", &signer), given("accept_any_maker", "1")],
                "contradicts",
            ),
            (
                &[
                    given("signed_by", &signer),
                    given("create_recipient", &recipient),
                ],
                "nobody signs",
            ),
        ];
        for (given, what) in bad {
            let error = access_of(given).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
