//! The ciphers.

use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use rusqlite::Connection;

/// A cipher of SQLite3MultipleCiphers.
#[derive(Clone, Copy)]
pub(crate) struct Cipher {
    /// Its name; `None`: no encryption.
    name: Option<&'static str>,
    /// Which AEGIS.
    algorithm: Option<&'static str>,
}

const fn cipher(name: &'static str) -> Cipher {
    Cipher {
        name: Some(name),
        algorithm: None,
    }
}

const fn aegis(algorithm: &'static str) -> Cipher {
    Cipher {
        name: Some("aegis"),
        algorithm: Some(algorithm),
    }
}

/// All that are compared. The last four do not authenticate what they encrypt, or encrypt nothing.
const CIPHERS: &[(&str, Cipher)] = &[
    ("aegis128l", aegis("aegis-128l")),
    ("aegis128x2", aegis("aegis-128x2")),
    ("aegis128x4", aegis("aegis-128x4")),
    ("aegis256", aegis("aegis-256")),
    ("aegis256x2", aegis("aegis-256x2")),
    ("aegis256x4", aegis("aegis-256x4")),
    ("chacha20", cipher("chacha20")),
    ("ascon128", cipher("ascon128")),
    ("sqlcipher", cipher("sqlcipher")),
    ("aes128cbc", cipher("aes128cbc")),
    ("aes256cbc", cipher("aes256cbc")),
    ("rc4", cipher("rc4")),
    (
        "none",
        Cipher {
            name: None,
            algorithm: None,
        },
    ),
];

impl FromStr for Cipher {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = CIPHERS.iter().find(|(known, _)| *known == name);
        Ok(found
            .with_context(|| format!("there is no cipher {name}"))?
            .1)
    }
}

impl Cipher {
    /// Names cipher and key to a connection that was just opened.
    pub(crate) fn key(self, connection: &Connection) -> Result<()> {
        let Some(name) = self.name else {
            return Ok(());
        };
        let chosen: String =
            connection.query_row(&format!("PRAGMA cipher = '{name}'"), [], |row| row.get(0))?;
        ensure!(chosen == name, "the cipher is {chosen} instead of {name}");
        if let Some(algorithm) = self.algorithm {
            let chosen: String =
                connection.query_row(&format!("PRAGMA algorithm = '{algorithm}'"), [], |row| {
                    row.get(0)
                })?;
            ensure!(
                chosen == algorithm,
                "AEGIS is {chosen} instead of {algorithm}"
            );
        }
        // 32 bytes: where a cipher takes them as they are, no passphrase is stretched.
        let key = "07".repeat(32);
        let key = match name {
            "sqlcipher" => format!("\"x'{key}'\""),
            "chacha20" | "aegis" | "ascon128" => format!("'raw:{key}'"),
            _ => format!("'{key}'"),
        };
        let answer: String =
            connection.query_row(&format!("PRAGMA key = {key}"), [], |row| row.get(0))?;
        if answer != "ok" {
            bail!("the key is refused: {answer}");
        }
        Ok(())
    }
}
