//! Secrets as types: one newtype per role, wiped on drop, read through one loud accessor.
//!
//! A secret stands on the heap: moving the value moves a pointer, and leaves no copy behind. What computations
//! leave on the stack is overwritten by [`wiping_the_stack`].

use core::hint::black_box;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Declares a fixed-length secret without `Debug` contents, `Clone`, `PartialEq` or serialisation.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Zeroize, ZeroizeOnDrop)]
        pub struct $name(Box<[u8; $len]>);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes over; the caller wipes its own copy.
            #[must_use]
            pub fn from_bytes(mut bytes: [u8; $len]) -> Self {
                let mut secret = Self(Box::new([0; $len]));
                secret.0.copy_from_slice(&bytes);
                bytes.zeroize();
                secret
            }

            /// Draws a fresh secret.
            #[must_use]
            pub fn generate(rng: &mut impl rand_core::CryptoRng) -> Self {
                let mut secret = Self(Box::new([0; $len]));
                rng.fill_bytes(secret.0.as_mut());
                secret
            }

            /// The secret bytes. Every use of this accessor is a place to review.
            #[must_use]
            pub fn expose(&self) -> &[u8; $len] {
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

/// Stack that opening or making a header takes, key encapsulation included.
pub(crate) const STACK_OF_A_HEADER: usize = 65_536;
/// Stack that a derivation by AES or HMAC takes.
pub(crate) const STACK_OF_A_DERIVATION: usize = 8_192;

/// Runs `compute`, and then overwrites `LEN` bytes of the stack below: the backends, and whoever moves a key
/// before it has its place, leave copies there that nobody else wipes.
pub(crate) fn wiping_the_stack<const LEN: usize, T>(compute: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn run<T>(compute: impl FnOnce() -> T) -> T {
        compute()
    }
    #[inline(never)]
    fn overwrite<const LEN: usize>() {
        black_box(&mut [0_u8; LEN]);
    }
    let result = run(compute);
    overwrite::<LEN>();
    result
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
