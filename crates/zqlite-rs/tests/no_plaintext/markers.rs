//! The markers, and how they are found in bytes, also where only a part of one is there.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

/// Names of a table, a column and an index.
pub(crate) const TABLE: &str = "zqtab_k7w2p9x4m1";
pub(crate) const COLUMN: &str = "zqcol_h3v8r5t6n0";
pub(crate) const INDEX: &str = "zqidx_b4j1s7y2q8";
/// A text that stands in every row.
pub(crate) const TEXT: &str = "zqtxt-Wm4Kc9Lx2Vb7";
/// Bytes that stand in every row. No eight of them follow each other elsewhere in the markers.
pub(crate) const BYTES: [u8; 64] = [
    0x8f, 0x1e, 0xd3, 0x52, 0xa9, 0x07, 0xc4, 0x6b, 0x90, 0xf2, 0x3d, 0x78, 0xe5, 0x14, 0xbb, 0x4a,
    0x26, 0xcd, 0x81, 0x5f, 0xfa, 0x33, 0x9c, 0x60, 0xd7, 0x0b, 0xae, 0x49, 0x72, 0xe8, 0x15, 0xbf,
    0x54, 0x99, 0x2e, 0xc3, 0x68, 0xf7, 0x0d, 0xa2, 0x3b, 0xd6, 0x8c, 0x41, 0xef, 0x1a, 0x75, 0xb0,
    0x97, 0x2c, 0xe1, 0x5a, 0xc8, 0x03, 0x7e, 0xb5, 0x46, 0xfd, 0x19, 0xa4, 0x6f, 0xd2, 0x38, 0x8b,
];
/// The beginning of what SQLite keeps in plaintext: of its databases, and of statements in its schema.
pub(crate) const SQLITE: &str = "SQLite format 3";

/// How many bytes of a marker are enough: it is found even where pages cut it.
const WINDOW: usize = 8;

/// Every window of every marker.
struct Windows {
    /// Whether a window begins with these two bytes.
    begins: Vec<bool>,
    names: HashMap<[u8; WINDOW], &'static str>,
}

static WINDOWS: LazyLock<Windows> = LazyLock::new(|| {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let markers: [(&'static str, Vec<u8>); 7] = [
        ("table name", TABLE.into()),
        ("column name", COLUMN.into()),
        ("index name", INDEX.into()),
        ("text", TEXT.into()),
        ("text in UTF-16", utf16(TEXT)),
        ("bytes", BYTES.into()),
        ("SQLite's header", SQLITE.into()),
    ];
    let mut windows = Windows {
        begins: vec![false; 1 << 16],
        names: HashMap::new(),
    };
    for (name, marker) in &markers {
        for window in marker.windows(WINDOW) {
            windows.begins[usize::from(u16::from_le_bytes([window[0], window[1]]))] = true;
            windows.names.insert(window.try_into().unwrap(), name);
        }
    }
    windows
});

/// The markers of which a part stands in these bytes.
pub(crate) fn find(bytes: &[u8]) -> BTreeSet<&'static str> {
    let windows = &*WINDOWS;
    let found = bytes.windows(WINDOW).filter_map(|window| {
        let begin = usize::from(u16::from_le_bytes([window[0], window[1]]));
        if windows.begins[begin] {
            windows.names.get(window).copied()
        } else {
            None
        }
    });
    found.collect()
}

#[test]
fn a_part_of_a_marker_is_found_wherever_it_stands() {
    for start in 0..40 {
        let mut bytes = vec![0xff; 100];
        bytes[start..start + 8].copy_from_slice(&BYTES[start + 3..start + 11]);
        assert_eq!(find(&bytes), BTreeSet::from(["bytes"]));
        bytes[start + 4] ^= 1;
        assert_eq!(find(&bytes), BTreeSet::new());
    }
    let row = format!("CREATE TABLE {TABLE}({COLUMN} TEXT)");
    let found = find(row.as_bytes());
    assert_eq!(found, BTreeSet::from(["column name", "table name"]));
}
