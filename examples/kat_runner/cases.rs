//! One case of a known-answer file: its fields, what is expected of it, and who runs it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

mod mldsa;
mod mlkem;
mod symmetric;
mod xwing;

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Aes256Gcm,
    Hkdf,
    MlDsaKat,
    MlDsaKeyGen,
    MlDsaSigGen,
    MlDsaSigVer,
    MlKemDecaps,
    MlKemEncaps,
    MlKemKat,
    MlKemKeyCheck,
    MlKemKeyGen,
    MlKemSeedDecaps,
    X25519,
    XWing,
}

impl Kind {
    const NAMES: [(&'static str, Self); 14] = [
        ("aes256gcm", Self::Aes256Gcm),
        ("hkdf", Self::Hkdf),
        ("mldsa65_kat", Self::MlDsaKat),
        ("mldsa65_keygen", Self::MlDsaKeyGen),
        ("mldsa65_siggen", Self::MlDsaSigGen),
        ("mldsa65_sigver", Self::MlDsaSigVer),
        ("mlkem768_decaps", Self::MlKemDecaps),
        ("mlkem768_encaps", Self::MlKemEncaps),
        ("mlkem768_kat", Self::MlKemKat),
        ("mlkem768_keycheck", Self::MlKemKeyCheck),
        ("mlkem768_keygen", Self::MlKemKeyGen),
        ("mlkem768_seed_decaps", Self::MlKemSeedDecaps),
        ("x25519", Self::X25519),
        ("xwing", Self::XWing),
    ];

    /// The kind that a file's name says, up to the first dot.
    pub(crate) fn of_file(name: &str) -> Result<Self, String> {
        let stem = name.split('.').next().unwrap_or_default();
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == stem)
            .map(|(_, kind)| *kind)
            .ok_or_else(|| {
                let known: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
                format!(
                    "unknown kind `{stem}`; known kinds are {}",
                    known.join(", ")
                )
            })
    }
}

impl Kind {
    /// The inputs that every case of the kind has, each with its alternatives. What may be empty (a message, a
    /// salt, additional data) may also be absent.
    const fn principal_fields(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Aes256Gcm => &[&["key"], &["iv"], &["tag"]],
            Self::Hkdf => &[&["hash"], &["len"]],
            Self::MlDsaKat | Self::MlDsaKeyGen => &[&["seed"]],
            Self::MlDsaSigGen => &[&["seed", "sk"]],
            Self::MlDsaSigVer => &[&["pk"], &["sig"]],
            // Without `c` or `m`, a case that a key is refused is still one.
            Self::MlKemDecaps => &[&["dk"]],
            Self::MlKemEncaps => &[&["ek"]],
            Self::MlKemKat => &[&["d"], &["z"], &["m"]],
            Self::MlKemKeyCheck => &[&["kind"], &["key"]],
            Self::MlKemKeyGen => &[&["d"], &["z"]],
            Self::MlKemSeedDecaps => &[&["seed"], &["c"]],
            Self::X25519 => &[&["sk"], &["pk"]],
            Self::XWing => &[&["seed", "sk", "pk"]],
        }
    }
}

/// What the `result` field demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Match, or be refused.
    Acceptable,
    /// Be refused.
    Invalid,
    /// Succeed and match.
    Valid,
}

/// Why a case yields no answer.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The case itself makes no sense: a failure whatever its result.
    Malformed(String),
    /// The input was refused, as it must be when the result is `invalid`.
    Refused(String),
}

impl Stop {
    pub(crate) fn refused(why: impl core::fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }
}

/// One line of a file.
#[derive(Debug)]
pub(crate) struct Case(Map<String, Value>);

impl Case {
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        match serde_json::from_str(line) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err("not a JSON object".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.0
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or("(without id)")
    }

    pub(crate) fn expected(&self, kind: Kind) -> Result<Expected, String> {
        match self.text("result").map_err(|stop| format!("{stop:?}"))? {
            None | Some("valid") => Ok(Expected::Valid),
            Some("invalid") => Ok(Expected::Invalid),
            Some("acceptable") if kind == Kind::X25519 => Ok(Expected::Acceptable),
            Some(other) => Err(format!("unknown result `{other}`")),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Stop> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Stop::Malformed(format!("`{name}` is not a string"))),
        }
    }

    /// Without one of these a case says nothing: refusing it would prove nothing about the code under test.
    fn require(&self, kind: Kind) -> Result<(), Stop> {
        kind.principal_fields()
            .iter()
            .try_for_each(|alternatives| self.require_one_of(alternatives))
    }

    fn require_one_of(&self, names: &[&str]) -> Result<(), Stop> {
        let is_there = |name: &&str| self.0.get(*name).is_some_and(|value| !value.is_null());
        if names.iter().any(is_there) {
            return Ok(());
        }
        Err(Stop::Malformed(format!(
            "malformed: no `{}`",
            names.join("` or `")
        )))
    }

    /// A byte string; `None` when it is absent.
    fn optional(&self, name: &str) -> Result<Option<Vec<u8>>, Stop> {
        let decode =
            |text| hex::decode(text).map_err(|error| Stop::Malformed(format!("`{name}`: {error}")));
        self.text(name)?.map(decode).transpose()
    }

    /// A byte string; empty when it is absent.
    fn bytes(&self, name: &str) -> Result<Vec<u8>, Stop> {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    /// A byte string of exactly `N` bytes; any other length is refused.
    fn array<const N: usize>(&self, name: &str) -> Result<[u8; N], Stop> {
        let bytes = self.bytes(name)?;
        let found = bytes.len();
        bytes
            .try_into()
            .map_err(|_| Stop::refused(format!("`{name}` has {found} bytes, not {N}")))
    }

    /// A length; one that no memory can have is refused.
    fn len(&self, name: &str) -> Result<usize, Stop> {
        let Some(Value::Number(number)) = self.0.get(name) else {
            return Err(Stop::Malformed(format!("`{name}` is not a number")));
        };
        if let Some(len) = number.as_u64().and_then(|len| usize::try_from(len).ok()) {
            return Ok(len);
        }
        // Negative, or beyond 64 bits, which the parser reads as a float.
        match number.as_f64() {
            Some(value) if value.fract() == 0.0 => {
                Err(Stop::refused(format!("`{name}` is {number}")))
            }
            _ => Err(Stop::Malformed(format!("`{name}` is not a whole number"))),
        }
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }
}

/// What was computed for a case, held against what its fields say.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    compared: usize,
    differing: Vec<&'static str>,
}

impl Answer {
    /// Compares a computed value with a field, if the case has it.
    fn compare(&mut self, case: &Case, name: &'static str, computed: &[u8]) -> Result<(), Stop> {
        if let Some(expected) = case.optional(name)? {
            self.check(name, expected == computed);
        }
        Ok(())
    }

    /// Records a check that is no comparison with a field.
    fn check(&mut self, name: &'static str, holds: bool) {
        self.compared += 1;
        if !holds {
            self.differing.push(name);
        }
    }

    pub(crate) fn verdict(&self) -> Result<(), String> {
        match (self.compared, self.differing.as_slice()) {
            (0, _) => Err("the case holds nothing to compare with".to_owned()),
            (_, []) => Ok(()),
            (_, names) => Err(format!("differs in {}", names.join(", "))),
        }
    }
}

/// The cases that no function of the product can express, by what it lacks.
#[derive(Debug, Default)]
pub(crate) struct SecondImplementation(BTreeMap<&'static str, usize>);

impl SecondImplementation {
    fn ran(&mut self, reason: &'static str) {
        *self.0.entry(reason).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (reason, count) in &other.0 {
            *self.0.entry(reason).or_default() += count;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.values().sum()
    }
}

impl core::fmt::Display for SecondImplementation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let reasons: Vec<_> = self
            .0
            .iter()
            .map(|(reason, n)| format!("{reason} {n}"))
            .collect();
        let count = self.count();
        write!(
            f,
            "{count} cases on a second implementation (ml-dsa): {}",
            reasons.join(", ")
        )
    }
}

pub(crate) fn run(
    kind: Kind,
    case: &Case,
    second: &mut SecondImplementation,
) -> Result<Answer, Stop> {
    case.require(kind)?;
    match kind {
        Kind::Aes256Gcm => symmetric::aes256gcm(case),
        Kind::Hkdf => symmetric::hkdf(case),
        Kind::MlDsaKat => mldsa::kat(case, second),
        Kind::MlDsaKeyGen => mldsa::keygen(case),
        Kind::MlDsaSigGen => mldsa::siggen(case, second),
        Kind::MlDsaSigVer => mldsa::sigver(case, second),
        Kind::MlKemDecaps => mlkem::decaps(case),
        Kind::MlKemEncaps => mlkem::encaps(case),
        Kind::MlKemKat => mlkem::kat(case),
        Kind::MlKemKeyCheck => mlkem::keycheck(case),
        Kind::MlKemKeyGen => mlkem::keygen(case),
        Kind::MlKemSeedDecaps => mlkem::seed_decaps(case),
        Kind::X25519 => symmetric::x25519(case),
        Kind::XWing => xwing::xwing(case),
    }
}
