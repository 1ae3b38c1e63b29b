//! The rows of the large table: about 480 bytes each, the same on every engine.

/// The table that holds them.
pub(crate) const TABLE: &str =
    "CREATE TABLE item(id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, body BLOB NOT NULL)";
/// Bytes of the body.
const BODY_LEN: usize = 464;
const POOL_LEN: usize = 65_536;

/// A cheap source of rows that do not compress.
pub(crate) struct Rows {
    pool: Vec<u8>,
}

impl Rows {
    pub(crate) fn new() -> Self {
        let mut random = SplitMix(1);
        let pool = std::iter::repeat_with(|| random.next().to_le_bytes())
            .take((POOL_LEN + BODY_LEN).div_ceil(8))
            .flatten()
            .collect();
        Self { pool }
    }

    /// Owner and body of a row.
    pub(crate) fn row(&self, id: u32) -> (u32, &[u8]) {
        let mixed = SplitMix(u64::from(id)).next();
        let start = usize::try_from(mixed % 65_536).unwrap_or_default();
        let body = self.pool.get(start..start + BODY_LEN).unwrap_or_default();
        (id % 1_000, body)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
