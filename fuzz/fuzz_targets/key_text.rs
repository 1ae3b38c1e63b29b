//! Reading keys: what is read is written again byte for byte, and of texts whose checksum is right exactly the
//! canonical ones of the right length are read.
#![no_main]

use std::str::FromStr;

use bech32::{Bech32, Fe32, Fe32IterExt, Hrp};
use libfuzzer_sys::fuzz_target;
use zqlite_pq::text::{
    parse_identity_file, parse_recipients_file, parse_signing_key_file, parse_verifying_key_file,
};
use zqlite_pq::{Identity, Recipient, SigningKey, VerifyingKey};

// Input: a mode ‖ a text (mode 0), the text of a key file (mode 1), or groups of five bits that are given
// a checksum (others).
fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    match mode % 6 {
        0 | 1 => {
            let Ok(text) = std::str::from_utf8(rest) else {
                return;
            };
            if mode % 6 == 0 {
                one_key(text);
            } else {
                key_file(text);
            }
        }
        2 => with_checksum("age-secret-key-pq-", rest, true, 32),
        3 => with_checksum("zqlite-signing-key-", rest, true, 32),
        4 => with_checksum("age1pq", rest, false, 1216),
        _ => with_checksum("zqlite-verify", rest, false, 1952),
    }
});

/// Reads as every kind; returns how many kinds took it.
fn one_key(text: &str) -> usize {
    let written = [
        Identity::parse(text)
            .ok()
            .map(|key| key.to_text().to_string()),
        SigningKey::parse(text)
            .ok()
            .map(|key| key.to_text().to_string()),
        Recipient::from_str(text).ok().map(|key| key.to_string()),
        VerifyingKey::from_str(text).ok().map(|key| key.to_string()),
    ];
    let written: Vec<_> = written.into_iter().flatten().collect();
    assert!(written.len() <= 1, "one text is one kind of key");
    assert!(written.iter().all(|written| written == text));
    written.len()
}

fn key_file(text: &str) {
    let written: Vec<Vec<String>> = [
        parse_identity_file(text)
            .ok()
            .map(|k| k.iter().map(|k| k.to_text().to_string()).collect()),
        parse_signing_key_file(text)
            .ok()
            .map(|k| k.iter().map(|k| k.to_text().to_string()).collect()),
        parse_recipients_file(text)
            .ok()
            .map(|k| k.iter().map(ToString::to_string).collect()),
        parse_verifying_key_file(text)
            .ok()
            .map(|k| k.iter().map(ToString::to_string).collect()),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(written.len() <= 1, "one file is one kind of keys");
    for keys in written {
        assert!(!keys.is_empty());
        let lines: Vec<&str> = text
            .trim_start_matches('\u{feff}')
            .lines()
            .map(|line| line.trim_matches([' ', '\t', '\r']))
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        assert_eq!(keys, lines);
    }
}

fn with_checksum(hrp: &str, groups: &[u8], upper: bool, len: usize) {
    let hrp = Hrp::parse(hrp).expect("a known prefix");
    let groups: Vec<Fe32> = groups
        .iter()
        .map(|group| Fe32::try_from(group % 32).expect("five bits"))
        .collect();
    let mut text: String = groups
        .iter()
        .copied()
        .with_checksum::<Bech32>(&hrp)
        .chars()
        .collect();
    if upper {
        text.make_ascii_uppercase();
    }
    let padding = groups.len() * 5 % 8;
    let last = groups.last().map_or(0, |group| group.to_u8());
    let canonical = groups.len() * 5 / 8 == len && padding < 5 && last & ((1 << padding) - 1) == 0;
    let read = one_key(&text) == 1;
    if upper || hrp.as_str() == "zqlite-verify" {
        assert_eq!(
            read, canonical,
            "every secret and every verifying key of the right length is one"
        );
    } else {
        // A recipient must also pass the checks of its key.
        assert!(!read || canonical);
    }
}
