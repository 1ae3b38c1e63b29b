//! Keys as text: age's published keys, round trips, and every way to get a key wrong.

use std::path::Path;
use std::str::FromStr;

use proptest::prelude::*;
use zqlite_pq::text::{
    KeyKind, KeyTextError, parse_identity_file, parse_recipients_file, parse_signing_key_file,
    parse_verifying_key_file,
};
use zqlite_pq::{Identity, Recipient, SigningKey, VerifyingKey};

const CLASSICAL_IDENTITY: &str =
    "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
const CLASSICAL_RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

fn identity() -> Identity {
    Identity::from_seed([7; 32])
}

fn signing_key() -> SigningKey {
    SigningKey::from_seed([9; 32])
}

/// Every character of a text in the other case.
fn other_case(text: &str) -> String {
    if text.starts_with(char::is_uppercase) {
        text.to_lowercase()
    } else {
        text.to_uppercase()
    }
}

#[test]
fn the_keys_that_age_publishes_are_read_and_written_byte_for_byte() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("kat-vectors/public/age_keys.jsonl");
    let mut ran = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let (secret, public) = (
            case["identity"].as_str().unwrap(),
            case["recipient"].as_str().unwrap(),
        );
        let identity = Identity::parse(secret).unwrap();
        assert_eq!(identity.to_text().as_str(), secret);
        assert_eq!(identity.recipient().to_string(), public);
        assert_eq!(Recipient::from_str(public).unwrap(), identity.recipient());
        ran += 1;
    }
    assert_eq!(ran, 2);
}

#[test]
fn each_kind_has_its_prefix_and_case() {
    let text = identity().to_text();
    assert!(
        text.starts_with("AGE-SECRET-KEY-PQ-1") && text.len() == 77,
        "{}",
        text.len()
    );
    let text = identity().recipient().to_string();
    assert!(
        text.starts_with("age1pq1") && text.len() == 1959,
        "{}",
        text.len()
    );
    let text = signing_key().to_text();
    assert!(
        text.starts_with("ZQLITE-SIGNING-KEY-1") && text.len() == 78,
        "{}",
        text.len()
    );
    let text = signing_key().verifying_key().to_string();
    assert!(
        text.starts_with("zqlite-verify1") && text.len() == 3144,
        "{}",
        text.len()
    );
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    assert_eq!(format!("{:?}", identity()), "Identity(<redacted>)");
    assert_eq!(format!("{:?}", signing_key()), "SigningKey(<redacted>)");
    let public = format!("{:?}", identity().recipient());
    assert!(
        public.starts_with("Recipient(age1pq1") && public.len() < 64,
        "{public}"
    );
}

#[test]
fn a_key_of_another_kind_is_named() {
    let texts = [
        (KeyKind::Identity, identity().to_text().to_string()),
        (KeyKind::Recipient, identity().recipient().to_string()),
        (KeyKind::SigningKey, signing_key().to_text().to_string()),
        (
            KeyKind::VerifyingKey,
            signing_key().verifying_key().to_string(),
        ),
    ];
    let mut mixed_up = 0;
    for (found, text) in &texts {
        let outcomes = [
            (KeyKind::Identity, Identity::parse(text).err()),
            (KeyKind::Recipient, Recipient::from_str(text).err()),
            (KeyKind::SigningKey, SigningKey::parse(text).err()),
            (KeyKind::VerifyingKey, VerifyingKey::from_str(text).err()),
        ];
        for (expected, error) in outcomes {
            if expected == *found {
                assert_eq!(error, None);
            } else {
                assert_eq!(
                    error,
                    Some(KeyTextError::WrongKind {
                        expected,
                        found: *found
                    })
                );
                mixed_up += 1;
            }
        }
    }
    assert_eq!(mixed_up, 12);
}

#[test]
fn classical_and_plugin_keys_are_refused_with_what_to_do() {
    for text in [CLASSICAL_IDENTITY, &CLASSICAL_IDENTITY.to_lowercase()] {
        let error = Identity::parse(text).unwrap_err();
        assert_eq!(error, KeyTextError::ClassicalIdentity);
        assert!(error.to_string().contains("zqlite keygen"));
    }
    let error = Recipient::from_str(CLASSICAL_RECIPIENT).unwrap_err();
    assert_eq!(error, KeyTextError::ClassicalRecipient);
    assert!(error.to_string().contains("not post-quantum"));
    let error = Identity::parse("AGE-PLUGIN-YUBIKEY-1QQPSYQYQ").unwrap_err();
    assert_eq!(error, KeyTextError::Plugin);
    for text in [
        "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
        "age1tagpq1m3e4",
    ] {
        assert_eq!(Recipient::from_str(text).unwrap_err(), KeyTextError::Plugin);
    }
    assert_eq!(
        Recipient::from_str("ssh-ed25519 AAAA").unwrap_err(),
        KeyTextError::Malformed {
            expected: KeyKind::Recipient
        }
    );
}

#[test]
fn a_key_has_one_text_only() {
    let text = identity().to_text().to_string();
    let expected = KeyKind::Identity;
    assert_eq!(
        Identity::parse(&other_case(&text)).unwrap_err(),
        KeyTextError::WrongCase { expected }
    );
    let mixed = format!("{}{}", &text[..70], text[70..].to_lowercase());
    assert_eq!(
        Identity::parse(&mixed).unwrap_err(),
        KeyTextError::MixedCase
    );
    for around in [format!(" {text}"), format!("{text}\n"), format!("{text} ")] {
        assert!(Identity::parse(&around).is_err());
    }
    let public = signing_key().verifying_key().to_string();
    assert_eq!(
        VerifyingKey::from_str(&other_case(&public)).unwrap_err(),
        KeyTextError::WrongCase {
            expected: KeyKind::VerifyingKey
        }
    );
}

/// Texts whose checksum is right and whose content is not.
#[test]
fn intact_texts_that_are_no_keys_are_refused() {
    use bech32::{Bech32, ByteIterExt, Fe32, Fe32IterExt, Hrp};
    let hrp = Hrp::parse("age-secret-key-pq-").unwrap();
    let encode = |fes: Vec<Fe32>| {
        fes.into_iter()
            .with_checksum::<Bech32>(&hrp)
            .chars()
            .collect::<String>()
            .to_uppercase()
    };
    let fes: Vec<Fe32> = [7_u8; 32].into_iter().bytes_to_fes().collect();
    assert_eq!(encode(fes.clone()), identity().to_text().as_str());

    let mut padded = fes.clone();
    *padded.last_mut().unwrap() = Fe32::try_from(fes.last().unwrap().to_u8() | 1).unwrap();
    assert_eq!(
        Identity::parse(&encode(padded)).unwrap_err(),
        KeyTextError::Padding
    );

    for (len, found) in [(0, 0), (31, 31), (33, 33)] {
        let other: Vec<Fe32> = vec![7_u8; len].into_iter().bytes_to_fes().collect();
        let wrong = KeyTextError::Length {
            found,
            expected: 32,
        };
        assert_eq!(Identity::parse(&encode(other)).unwrap_err(), wrong);
    }
    // 1216 bytes leave two bits of padding; one superfluous group of five decodes to the same bytes.
    let recipient = identity().recipient();
    let hrp = Hrp::parse("age1pq").unwrap();
    let mut fes: Vec<Fe32> = recipient
        .as_bytes()
        .iter()
        .copied()
        .bytes_to_fes()
        .collect();
    let encode = |fes: &[Fe32]| {
        fes.iter()
            .copied()
            .with_checksum::<Bech32>(&hrp)
            .chars()
            .collect::<String>()
    };
    assert_eq!(encode(&fes), recipient.to_string());
    fes.push(Fe32::Q);
    assert_eq!(
        Recipient::from_str(&encode(&fes)).unwrap_err(),
        KeyTextError::Padding
    );
}

#[test]
fn errors_never_repeat_the_text() {
    let text = identity().to_text().to_string();
    let broken = [
        text.replace("AGE-SECRET-KEY-PQ-1", "AGE-SECRET-KEY-QP-1"),
        format!("{text}Q"),
        text[..60].to_owned(),
        text.to_lowercase(),
        text.replacen('Q', "!", 3),
    ];
    for text in &broken {
        let error = Identity::parse(text).unwrap_err();
        let file_error = parse_identity_file(text).unwrap_err();
        for said in [
            error.to_string(),
            format!("{error:?}"),
            file_error.to_string(),
        ] {
            let leaked = (20..text.len() - 8).any(|i| said.contains(&text[i..i + 8]));
            assert!(!leaked, "{said}");
        }
    }
}

#[test]
fn key_files_may_hold_comments_blank_lines_and_crlf() {
    let (one, two) = (identity(), Identity::from_seed([8; 32]));
    let file = format!(
        "\u{feff}# created: 2026-11-23T00:00:00Z\r\n# public key: {}\r\n\r\n{}\r\n  {}\t\n",
        one.recipient(),
        one.to_text().as_str(),
        two.to_text().as_str()
    );
    let read = parse_identity_file(&file).unwrap();
    let seeds: Vec<_> = read.iter().map(Identity::expose_seed).collect();
    assert_eq!(seeds, [one.expose_seed(), two.expose_seed()]);

    let file = format!("{}\n#\n{}", one.recipient(), two.recipient());
    assert_eq!(
        parse_recipients_file(&file).unwrap(),
        [one.recipient(), two.recipient()]
    );
    let key = signing_key();
    let read = parse_signing_key_file(&format!("{}\n", key.to_text().as_str())).unwrap();
    assert_eq!(read[0].expose_seed(), key.expose_seed());
    let read = parse_verifying_key_file(&key.verifying_key().to_string()).unwrap();
    assert_eq!(read, [key.verifying_key().clone()]);
}

#[test]
fn key_files_name_the_line_at_fault() {
    let file = format!("# one\n\n{}\nnonsense\n", identity().recipient());
    let error = parse_recipients_file(&file).unwrap_err();
    assert!(
        matches!(&error, KeyTextError::Line { line: 4, .. }),
        "{error}"
    );
    assert!(
        error.to_string().starts_with("line 4: not a recipient"),
        "{error}"
    );

    let error = parse_identity_file(&format!("{CLASSICAL_IDENTITY}\n")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("line 1: a classical age identity"),
        "{error}"
    );

    for empty in ["", "\n\n", "# only a comment\r\n"] {
        let error = parse_identity_file(empty).unwrap_err();
        assert_eq!(
            error,
            KeyTextError::NoKey {
                expected: KeyKind::Identity
            }
        );
    }
    assert_eq!(Identity::parse("").unwrap_err(), KeyTextError::Empty);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn seeds_survive_the_round_trip(seed: [u8; 32]) {
        let identity = Identity::from_seed(seed);
        let read = Identity::parse(&identity.to_text()).unwrap();
        prop_assert_eq!(read.expose_seed(), &seed);
        let recipient = identity.recipient();
        prop_assert_eq!(Recipient::from_str(&recipient.to_string()).unwrap(), recipient);
        let key = SigningKey::from_seed(seed);
        let read = SigningKey::parse(&key.to_text()).unwrap();
        prop_assert_eq!(read.expose_seed(), &seed);
        let public = key.verifying_key();
        prop_assert_eq!(&VerifyingKey::from_str(&public.to_string()).unwrap(), public);
    }

    #[test]
    fn one_wrong_character_is_noticed(at in 19_usize..77, by in 1_usize..32) {
        const ALPHABET: &[u8; 32] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
        let mut text = identity().to_text().as_bytes().to_vec();
        let old = ALPHABET.iter().position(|c| *c == text[at]).unwrap();
        text[at] = ALPHABET[(old + by) % 32];
        let error = Identity::parse(&String::from_utf8(text).unwrap()).unwrap_err();
        prop_assert_eq!(error, KeyTextError::Checksum);
    }

    #[test]
    fn what_is_read_is_written_again(text in "(AGE-SECRET-KEY-PQ-1|age1pq1|ZQLITE-|)[A-Za-z0-9]{0,70}") {
        if let Ok(identity) = Identity::parse(&text) {
            let written = identity.to_text();
            prop_assert_eq!(written.as_str(), text.as_str());
        }
    }
}
