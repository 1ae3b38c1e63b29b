//! Every domain-separation label and magic number of the format, written once (FORMAT.md section 3).
//!
//! A label names what a derived key or a signature is for. No label is a prefix of another, so that
//! `label ‖ 0x00 ‖ message` of one purpose can never be read as that of another.

/// A domain-separation label: printable ASCII, unique and prefix-free in [`ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(&'static str);

impl Label {
    /// The label's bytes, without terminator.
    #[must_use]
    pub const fn as_bytes(&self) -> &'static [u8] {
        self.0.as_bytes()
    }
}

/// HKDF info: the XAES-256-GCM key that seals pages.
pub const PAGE_KEY: Label = Label("zqlite/v1/key/page");
/// HKDF info: the HMAC-SHA256 key of both header copies.
pub const HEADER_MAC_KEY: Label = Label("zqlite/v1/key/header-mac");
/// HKDF info: the AES-256 key that masks WAL salts and checksums.
pub const WAL_MASK_KEY: Label = Label("zqlite/v1/key/wal-mask");
/// HKDF info: the HMAC-SHA256 key of rollback-journal headers and super-journal trailers.
pub const JOURNAL_MAC_KEY: Label = Label("zqlite/v1/key/journal-mac");
/// HKDF info: the XAES-256-GCM key that seals slot details and older epoch keys.
pub const TABLE_KEY: Label = Label("zqlite/v1/key/table");
/// HKDF info: the commitment to an epoch key.
pub const COMMITMENT: Label = Label("zqlite/v1/commitment");
/// HPKE info of every slot.
pub const SLOT_WRAP: Label = Label("zqlite/v1/slot/wrap");
/// SHA-256 prefix of a slot's hint.
pub const SLOT_HINT: Label = Label("zqlite/v1/slot/hint");
/// HKDF info: the X-Wing seed of a passphrase slot.
pub const PASSPHRASE_SEED: Label = Label("zqlite/v1/seed/passphrase");
/// HKDF info: the X-Wing seed of a raw-key slot.
pub const RAW_KEY_SEED: Label = Label("zqlite/v1/seed/raw-key");
/// Associated data of a slot's sealed details.
pub const SLOT_DETAILS: Label = Label("zqlite/v1/table/slot");
/// Associated data of an older epoch's sealed key.
pub const EPOCH_KEY: Label = Label("zqlite/v1/table/epoch");
/// HMAC prefix of a header copy.
pub const HEADER_MAC: Label = Label("zqlite/v1/mac/header");
/// HMAC prefix of what an epoch's key says of the one that follows it.
pub const SUCCESSION_MAC: Label = Label("zqlite/v1/mac/succession");
/// HMAC prefix of a rollback-journal header.
pub const JOURNAL_HEADER_MAC: Label = Label("zqlite/v1/mac/journal-header");
/// HMAC prefix of a super-journal trailer.
pub const SUPER_JOURNAL_MAC: Label = Label("zqlite/v1/mac/super-journal");
/// ML-DSA-65 domain of the owner's signature over a header.
pub const HEADER_SIGNATURE: Label = Label("zqlite/v1/signature/header");
/// ML-DSA-65 domain of a seal: the signed state of a whole database.
pub const SEAL_SIGNATURE: Label = Label("zqlite/v1/signature/seal");

/// Every label above.
pub const ALL: [Label; 18] = [
    PAGE_KEY,
    HEADER_MAC_KEY,
    WAL_MASK_KEY,
    JOURNAL_MAC_KEY,
    TABLE_KEY,
    COMMITMENT,
    SLOT_WRAP,
    SLOT_HINT,
    PASSPHRASE_SEED,
    RAW_KEY_SEED,
    SLOT_DETAILS,
    EPOCH_KEY,
    HEADER_MAC,
    SUCCESSION_MAC,
    JOURNAL_HEADER_MAC,
    SUPER_JOURNAL_MAC,
    HEADER_SIGNATURE,
    SEAL_SIGNATURE,
];

/// The first 16 bytes of each header copy.
pub const MAGIC: [u8; 16] = *b"zqlite sealed\r\n\x1a";
/// The first 16 bytes of a seal: the signed state of a whole database.
pub const SEAL_MAGIC: [u8; 16] = *b"zqlite state\r\n\x1a\n";
/// The first 16 bytes of the proof that a page belongs to a sealed state.
pub const PROOF_MAGIC: [u8; 16] = *b"zqlite proof\r\n\x1a\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_unique_and_prefix_free() {
        let mut pairs = 0;
        for (i, a) in ALL.iter().enumerate() {
            assert!(a.as_bytes().iter().all(u8::is_ascii_graphic));
            for (j, b) in ALL.iter().enumerate() {
                if i != j {
                    assert!(
                        !b.as_bytes().starts_with(a.as_bytes()),
                        "{a:?} starts {b:?}"
                    );
                    pairs += 1;
                }
            }
        }
        assert_eq!(pairs, 18 * 17);
    }

    #[test]
    fn every_label_constant_is_listed() {
        let source = include_str!("label.rs");
        let constants = source
            .lines()
            .filter(|l| l.contains(": Label = Label("))
            .count();
        // One match is this test's own pattern.
        assert_eq!(constants - 1, ALL.len());
    }
}
