//! The rows of the tables, the same on every engine: about 480 bytes each in the large one.

use rusqlite::{Connection, params};

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
            .take((POOL_LEN + PEER_BODY_LEN).div_ceil(8))
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

/// The table that many callers write to, with four indexes.
pub const PEER_TABLE: &str =
    "CREATE TABLE peer(id INTEGER PRIMARY KEY, key BLOB NOT NULL, owner INTEGER NOT NULL, \
     address INTEGER NOT NULL, seen INTEGER NOT NULL, body BLOB NOT NULL);
     CREATE INDEX peer_key ON peer(key);
     CREATE INDEX peer_owner ON peer(owner);
     CREATE INDEX peer_address ON peer(address);
     CREATE INDEX peer_seen ON peer(seen);";
/// Bytes of a peer's body: with the other columns, a row has about 1 KB.
const PEER_BODY_LEN: usize = 960;

/// Rows of that table.
pub struct Peers(Rows);

impl Peers {
    /// Makes the source.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "there is nothing default about it"
    )]
    pub fn new() -> Self {
        Self(Rows::new())
    }

    /// Inserts the peer of this id, through a cached statement.
    ///
    /// # Errors
    /// SQLite's.
    pub fn insert(&self, connection: &Connection, id: u32) -> rusqlite::Result<()> {
        let mut random = SplitMix(u64::from(id) << 20);
        let key: [u8; 32] = core::array::from_fn(|_| random.next().to_le_bytes()[0]);
        let start = usize::try_from(random.next() % POOL_LEN as u64).unwrap_or_default();
        let body = self
            .0
            .pool
            .get(start..start + PEER_BODY_LEN)
            .unwrap_or_default();
        let address = i64::try_from(random.next() >> 33).unwrap_or_default();
        let seen = i64::from(id) * 7;
        connection
            .prepare_cached("INSERT INTO peer VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![id, key, id % 8_000, address, seen, body])?;
        Ok(())
    }
}
