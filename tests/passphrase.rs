//! From passphrase or raw key to seed, against values from Python (argon2-cffi 25.1.0, `hmac`).

use zqlite_pq::passphrase::{Argon2Parameter, Argon2Params, ParamsError, raw_key_seed, seed};
use zqlite_pq::{Passphrase, RawKey};

/// 0, 1, 2, …
fn counting<const N: usize>(from: u8) -> [u8; N] {
    let mut bytes = [0; N];
    bytes
        .iter_mut()
        .zip(from..)
        .for_each(|(byte, value)| *byte = value);
    bytes
}

fn passphrase() -> Passphrase {
    Passphrase::from_bytes(b"correct horse battery staple".to_vec())
}

#[test]
fn seeds_match_an_independent_implementation() {
    let known = [
        (
            Argon2Params::MIN,
            "5ea8458446975283e07aa392b5a0748f6168b6014a9b027fbfc1065ddeb4824e",
        ),
        (
            Argon2Params::DEFAULT,
            "b5cf5d6d54e962998a92d0202c6a6a8e8868828e099d96b2b9194e26fab10aef",
        ),
    ];
    for (params, expected) in known {
        let made = seed(&passphrase(), &counting(0), params, &counting(16)).unwrap();
        assert_eq!(hex::encode(*made), expected, "{params:?}");
    }
    let made = raw_key_seed(&RawKey::from_bytes(counting(0)), &counting(16));
    assert_eq!(
        hex::encode(*made),
        "c0442cb934bcf9bf628e80d4bdbff4b9c1d9230409cbabf40c0a869226001366"
    );
}

#[test]
fn another_file_another_salt_or_another_passphrase_is_another_seed() {
    let of = |text: &[u8], salt: u8, file: u8| {
        let passphrase = Passphrase::from_bytes(text.to_vec());
        *seed(&passphrase, &[salt; 16], Argon2Params::MIN, &[file; 16]).unwrap()
    };
    let base = of(b"a", 1, 2);
    assert_eq!(base, of(b"a", 1, 2));
    for other in [
        of(b"b", 1, 2),
        of(b"a", 3, 2),
        of(b"a", 1, 3),
        of(b"", 1, 2),
    ] {
        assert_ne!(base, other);
    }
}

#[test]
fn parameters_outside_their_range_are_refused_before_any_work() {
    let base = Argon2Params::DEFAULT;
    let cases = [
        (
            Argon2Params {
                memory_kib: 19_455,
                ..base
            },
            Argon2Parameter::MemoryKib,
            19_455,
        ),
        (
            Argon2Params {
                memory_kib: 1_048_577,
                ..base
            },
            Argon2Parameter::MemoryKib,
            1_048_577,
        ),
        (
            Argon2Params {
                memory_kib: u32::MAX,
                ..base
            },
            Argon2Parameter::MemoryKib,
            u32::MAX,
        ),
        (
            Argon2Params { passes: 1, ..base },
            Argon2Parameter::Passes,
            1,
        ),
        (
            Argon2Params { passes: 17, ..base },
            Argon2Parameter::Passes,
            17,
        ),
        (Argon2Params { lanes: 0, ..base }, Argon2Parameter::Lanes, 0),
        (
            Argon2Params { lanes: 17, ..base },
            Argon2Parameter::Lanes,
            17,
        ),
    ];
    for (params, parameter, found) in cases {
        let error = seed(&passphrase(), &[0; 16], params, &[0; 16]).unwrap_err();
        let ParamsError::OutOfRange {
            parameter: named,
            found: said,
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((named, said), (parameter, found));
    }
    for params in [Argon2Params::MIN, Argon2Params::DEFAULT, Argon2Params::MAX] {
        params.check().unwrap();
    }
    let error = Argon2Params {
        memory_kib: 1,
        ..base
    }
    .check()
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Argon2id memory (KiB) of 1 is outside 19456 to 1048576"
    );
}
