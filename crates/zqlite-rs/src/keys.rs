//! The keys that the builder takes.
//!
//! With feature `pq` these are the types of [`zqlite_pq`]. Without it they have the same names and shapes, so
//! that a program compiles either way, but no key can be used: texts do not parse, and a builder that was given
//! any key refuses to open ([`Error::KeysUnsupported`](crate::Error::KeysUnsupported)).

#[cfg(feature = "pq")]
pub use zqlite_pq::epoch::FileId;
#[cfg(feature = "pq")]
pub use zqlite_pq::header::{Expected, Keyring, NewSlot, SlotKey};
#[cfg(feature = "pq")]
pub use zqlite_pq::page::{PageSize, PageSizeError};
#[cfg(feature = "pq")]
pub use zqlite_pq::passphrase::Argon2Params;
#[cfg(feature = "pq")]
pub use zqlite_pq::text::KeyTextError;
#[cfg(feature = "pq")]
pub use zqlite_pq::{Identity, Passphrase, RawKey, Recipient, SigningKey, VerifyingKey};

#[cfg(not(feature = "pq"))]
pub use without_pq::*;

#[cfg(not(feature = "pq"))]
mod without_pq {
    use core::str::FromStr;

    /// Keys are not supported by this build.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("this build of zqlite has no feature `pq`: it cannot use keys")]
    pub struct KeyTextError;

    /// Declares a key that cannot exist in this build.
    macro_rules! absent {
        ($(#[$doc:meta])* $name:ident) => {
            $(#[$doc])*
            #[derive(Debug)]
            #[expect(clippy::exhaustive_enums, reason = "there is no value of it in this build")]
            pub enum $name {}

            impl $name {
                /// Fails: keys are not supported by this build.
                ///
                /// # Errors
                /// Always.
                pub const fn parse(_text: &str) -> Result<Self, KeyTextError> {
                    Err(KeyTextError)
                }
            }

            impl FromStr for $name {
                type Err = KeyTextError;

                fn from_str(text: &str) -> Result<Self, KeyTextError> {
                    Self::parse(text)
                }
            }
        };
    }

    absent!(
        /// A key pair that opens files.
        Identity
    );
    absent!(
        /// The public key that files are sealed to.
        Recipient
    );
    absent!(
        /// A key that signs headers.
        SigningKey
    );
    absent!(
        /// The public key that signatures are verified with.
        VerifyingKey
    );
    absent!(
        /// The id of a sealed file.
        FileId
    );

    /// A passphrase. This build wipes it at once.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Passphrase;

    impl Passphrase {
        /// Takes the passphrase over, and wipes it.
        #[must_use]
        pub fn from_bytes(mut bytes: Vec<u8>) -> Self {
            zeroize::Zeroize::zeroize(&mut bytes);
            Self
        }
    }

    /// A raw 32-byte key. This build wipes it at once.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct RawKey;

    impl RawKey {
        /// Takes the bytes over, and wipes them.
        #[must_use]
        pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
            zeroize::Zeroize::zeroize(&mut bytes);
            Self
        }
    }

    /// The costs of a passphrase slot.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[expect(
        clippy::exhaustive_structs,
        reason = "the shape of the type with feature `pq`"
    )]
    pub struct Argon2Params {
        /// Memory in KiB.
        pub memory_kib: u32,
        /// Passes over the memory.
        pub passes: u32,
        /// Lanes.
        pub lanes: u32,
    }

    /// Keys that may open a file.
    #[derive(Debug, Default)]
    pub struct Keyring {
        keys: usize,
    }

    impl Keyring {
        /// A keyring without keys.
        #[must_use]
        pub fn new() -> Self {
            Self::default()
        }

        /// Adds an identity.
        pub fn add_identity(&mut self, identity: Identity) {
            match identity {}
        }

        /// Adds a passphrase.
        pub fn add_passphrase(&mut self, _passphrase: Passphrase) {
            self.keys += 1;
        }

        /// Adds a raw key.
        pub fn add_raw_key(&mut self, _key: RawKey) {
            self.keys += 1;
        }

        /// Whether there is no key.
        #[must_use]
        pub const fn is_empty(&self) -> bool {
            self.keys == 0
        }
    }

    /// Whose file a reader expects.
    #[derive(Debug)]
    #[expect(
        clippy::exhaustive_structs,
        reason = "the shape of the type with feature `pq`"
    )]
    pub struct Expected {
        /// The owner's key.
        pub key: VerifyingKey,
        /// Which of the owner's files; any of them if `None`.
        pub file_id: Option<FileId>,
    }

    /// A slot to be made.
    #[derive(Debug)]
    #[expect(
        clippy::exhaustive_structs,
        reason = "the shape of the type with feature `pq`"
    )]
    pub struct NewSlot {
        /// Whom the slot lets in.
        pub key: SlotKey,
        /// What key holders see in a listing.
        pub label: String,
    }

    /// Whom a new slot lets in.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum SlotKey {
        /// Whoever knows this passphrase.
        Passphrase(Passphrase, Argon2Params),
        /// Whoever has this raw key.
        RawKey(RawKey),
        /// The holder of this recipient's identity.
        Recipient(Recipient),
    }

    /// A page size: a power of two from 4,096 to 65,536.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct PageSize(u32);

    /// A number that is not a page size.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("{found} is not a page size: use a power of two from 4096 to 65536")]
    #[expect(
        clippy::exhaustive_structs,
        reason = "the shape of the type with feature `pq`"
    )]
    pub struct PageSizeError {
        /// The number.
        pub found: u32,
    }

    impl PageSize {
        /// Checks a number.
        ///
        /// # Errors
        /// [`PageSizeError`] for anything but a power of two from 4,096 to 65,536.
        pub const fn new(bytes: u32) -> Result<Self, PageSizeError> {
            if bytes >= 4_096 && bytes <= 65_536 && bytes.is_power_of_two() {
                Ok(Self(bytes))
            } else {
                Err(PageSizeError { found: bytes })
            }
        }

        /// In bytes.
        #[must_use]
        pub const fn get(self) -> u32 {
            self.0
        }
    }

    impl Default for PageSize {
        fn default() -> Self {
            Self(4_096)
        }
    }
}
