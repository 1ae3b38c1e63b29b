//! From a passphrase or a raw key to the seed of an X-Wing identity: Argon2id (RFC 9106), HKDF-SHA256
//! (RFC 5869).

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use crate::kdf::hkdf_sha256;
use crate::label::{PASSPHRASE_SEED, RAW_KEY_SEED};
use crate::{Passphrase, RawKey};

/// Length of a salt in bytes.
pub const SALT_LEN: usize = 16;

/// The cost of one guess at a passphrase (RFC 9106, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the three costs of Argon2id; no fourth exists"
)]
pub struct Argon2Params {
    /// Memory in KiB (m).
    pub memory_kib: u32,
    /// Passes over the memory (t).
    pub passes: u32,
    /// Lanes (p).
    pub lanes: u32,
}

/// A parameter of a passphrase slot lies outside the range that this format permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// A cost is too low to protect or too high to be honest.
    #[error("{parameter} of {found} is outside {min} to {max}")]
    OutOfRange {
        /// Which cost.
        parameter: Argon2Parameter,
        /// What was asked for.
        found: u32,
        /// The least permitted value.
        min: u32,
        /// The greatest permitted value.
        max: u32,
    },
    /// The memory that the parameters ask for cannot be had on this machine.
    #[error("{memory_kib} KiB of memory for the passphrase are not available")]
    OutOfMemory {
        /// What was asked for.
        memory_kib: u32,
    },
}

/// Names one of [`Argon2Params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the three costs of Argon2id; no fourth exists"
)]
pub enum Argon2Parameter {
    /// Memory in KiB.
    MemoryKib,
    /// Passes.
    Passes,
    /// Lanes.
    Lanes,
}

impl core::fmt::Display for Argon2Parameter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::MemoryKib => "Argon2id memory (KiB)",
            Self::Passes => "Argon2id pass count",
            Self::Lanes => "Argon2id lane count",
        })
    }
}

impl Argon2Params {
    /// What new slots use: the second recommendation of RFC 9106, section 4.
    pub const DEFAULT: Self = Self {
        memory_kib: 65_536,
        passes: 3,
        lanes: 4,
    };
    /// The floor: below it a stolen file invites guessing.
    pub const MIN: Self = Self {
        memory_kib: 19_456,
        passes: 2,
        lanes: 1,
    };
    /// The ceiling: above it a forged file would exhaust whoever tries to open it.
    pub const MAX: Self = Self {
        memory_kib: 1_048_576,
        passes: 16,
        lanes: 16,
    };

    /// Checks each parameter against [`Self::MIN`] and [`Self::MAX`].
    ///
    /// # Errors
    /// [`ParamsError::OutOfRange`] names the first parameter outside its range.
    pub fn check(&self) -> Result<(), ParamsError> {
        let ranges = [
            (
                Argon2Parameter::MemoryKib,
                self.memory_kib,
                Self::MIN.memory_kib,
                Self::MAX.memory_kib,
            ),
            (
                Argon2Parameter::Passes,
                self.passes,
                Self::MIN.passes,
                Self::MAX.passes,
            ),
            (
                Argon2Parameter::Lanes,
                self.lanes,
                Self::MIN.lanes,
                Self::MAX.lanes,
            ),
        ];
        for (parameter, found, min, max) in ranges {
            if !(min..=max).contains(&found) {
                return Err(ParamsError::OutOfRange {
                    parameter,
                    found,
                    min,
                    max,
                });
            }
        }
        Ok(())
    }
}

/// The 32-byte X-Wing seed of a passphrase slot:
/// `HKDF-SHA256(salt = file id, ikm = Argon2id(passphrase, salt, params, 32 bytes))`.
///
/// # Errors
/// [`ParamsError`] when a parameter is outside its range or its memory cannot be had.
pub fn seed(
    passphrase: &Passphrase,
    salt: &[u8; SALT_LEN],
    params: Argon2Params,
    file_id: &[u8; 16],
) -> Result<Zeroizing<[u8; 32]>, ParamsError> {
    params.check()?;
    let stretched = argon2id(passphrase.expose(), salt, params)?;
    Ok(hkdf_sha256(file_id, stretched.as_ref(), PASSPHRASE_SEED))
}

/// The 32-byte X-Wing seed of a raw-key slot: `HKDF-SHA256(salt = file id, ikm = raw key)`.
#[must_use]
pub fn raw_key_seed(key: &RawKey, file_id: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    hkdf_sha256(file_id, key.expose(), RAW_KEY_SEED)
}

fn argon2id(
    passphrase: &[u8],
    salt: &[u8; SALT_LEN],
    params: Argon2Params,
) -> Result<Zeroizing<[u8; 32]>, ParamsError> {
    let out_of_memory = ParamsError::OutOfMemory {
        memory_kib: params.memory_kib,
    };
    let costs = Params::new(params.memory_kib, params.passes, params.lanes, Some(32))
        .map_err(|_| out_of_memory)?;
    // The crate's own allocation is not wiped, and an allocation failure must not abort the process:
    // the parameters come from a file.
    let mut memory: Zeroizing<Vec<Block>> = Zeroizing::new(Vec::new());
    memory
        .try_reserve_exact(costs.block_count())
        .map_err(|_| out_of_memory)?;
    memory.resize(costs.block_count(), Block::new());
    let mut out = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, costs)
        .hash_password_into_with_memory(passphrase, salt, out.as_mut(), memory.as_mut_slice())
        .map_err(|_| out_of_memory)?;
    Ok(out)
}
