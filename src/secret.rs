//! Secrets as types: one newtype per role, wiped on drop, read through one loud accessor.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Declares a fixed-length secret without `Debug` contents, `Clone`, `PartialEq` or serialisation.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes over; the caller wipes its own copy.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Draws a fresh secret.
            #[must_use]
            pub fn generate(rng: &mut impl rand_core::CryptoRng) -> Self {
                let mut secret = Self([0; $len]);
                rng.fill_bytes(&mut secret.0);
                secret
            }

            /// The secret bytes. Every use of this accessor is a place to review.
            #[must_use]
            pub const fn expose(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    };
}

secret!(
    /// The 32-byte key of one epoch: everything else of a file is derived from it.
    EpochKey,
    32
);
secret!(
    /// A raw 32-byte key that a user supplies instead of an identity or a passphrase.
    RawKey,
    32
);
secret!(
    /// A shared secret of a key encapsulation (32 bytes).
    SharedSecret,
    32
);

/// A passphrase as the user typed it, without its line end.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Passphrase(Vec<u8>);

impl Passphrase {
    /// Takes the passphrase over; the caller wipes its own copy.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The secret bytes. Every use of this accessor is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl core::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Passphrase(<redacted>)")
    }
}
