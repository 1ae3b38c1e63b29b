//! The set of those among 4,096 neighbouring rows that have one value, as it is stored.
//!
//! Up to 255 rows: their places, ascending, each as 16 bits, the low byte first. More: 512 bytes, of which bit `p % 8`
//! of byte `p / 8` is set if the row at place p is there. So a row that changes rewrites at most 512 bytes for a value.

/// How many rows a chunk is about.
pub(super) const ROWS: u64 = 1 << BITS;
pub(super) const BITS: u32 = 12;
/// The most rows whose places are listed.
const LISTED: usize = 255;
const LEN: usize = 512;

/// Where a key stands: its chunk, and its place there. Chunks ascend with keys, negative ones first.
pub(super) fn place(key: i64) -> (i64, u16) {
    let number = super::number_of(key);
    let [low, high, ..] = (number & (ROWS - 1)).to_le_bytes();
    (
        (number >> BITS).cast_signed(),
        u16::from_le_bytes([low, high]),
    )
}

#[derive(Clone)]
pub(super) struct Chunk {
    bits: [u8; LEN],
}

impl Chunk {
    pub(super) const fn new() -> Self {
        Self { bits: [0; LEN] }
    }

    pub(super) const fn bits(&self) -> &[u8] {
        &self.bits
    }

    pub(super) fn len(&self) -> usize {
        self.bits
            .iter()
            .map(|byte| usize::from(byte.count_ones().to_le_bytes()[0]))
            .sum()
    }

    pub(super) fn has(&self, place: u16) -> bool {
        self.bits
            .get(usize::from(place / 8))
            .is_some_and(|byte| byte >> (place % 8) & 1 == 1)
    }

    pub(super) fn set(&mut self, place: u16, on: bool) {
        if let Some(byte) = self.bits.get_mut(usize::from(place / 8)) {
            let bit = 1 << (place % 8);
            *byte = if on { *byte | bit } else { *byte & !bit };
        }
    }

    /// `None` if no row is left.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        match self.len() {
            0 => None,
            1..=LISTED => Some(self.places().flat_map(u16::to_le_bytes).collect()),
            _ => Some(self.bits.to_vec()),
        }
    }

    fn places(&self) -> impl Iterator<Item = u16> {
        // Most bytes of a chunk whose places are listed are zero.
        (0..)
            .zip(&self.bits)
            .filter(|(_, byte)| **byte != 0)
            .flat_map(|(at, byte)| {
                (0..8_u16)
                    .filter(move |bit| byte >> bit & 1 == 1)
                    .map(move |bit| at * 8 + bit)
            })
    }

    /// Reads what [`encode`](Self::encode) writes, and nothing else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut chunk = Self::new();
        if bytes.len() == LEN {
            chunk.bits.copy_from_slice(bytes);
            return (chunk.len() > LISTED).then_some(chunk);
        }
        if bytes.is_empty() || bytes.len() > LISTED * 2 || !bytes.len().is_multiple_of(2) {
            return None;
        }
        let mut last = None;
        for pair in bytes.chunks_exact(2) {
            let place = u16::from_le_bytes([*pair.first()?, *pair.last()?]);
            if u64::from(place) >= ROWS || last >= Some(place) {
                return None;
            }
            last = Some(place);
            chunk.set(place, true);
        }
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_every_size_are_read_back() {
        let mut chunk = Chunk::new();
        assert!(chunk.encode().is_none());
        for count in 0..4_096_u16 {
            // 1,663 has no divisor in common with 4,096: each place comes once.
            chunk.set(count.wrapping_mul(1_663) % 4_096, true);
            assert_eq!(chunk.len(), usize::from(count) + 1);
            if count % 16 == 0 || count < 300 {
                let bytes = chunk.encode().unwrap();
                assert_eq!(bytes.len(), (usize::from(count) * 2 + 2).min(512));
                assert_eq!(Chunk::decode(&bytes).unwrap().bits, chunk.bits);
            }
        }
        for count in 0..4_096_u16 {
            chunk.set(count, false);
            assert!(!chunk.has(count));
        }
        assert!(chunk.encode().is_none());
    }

    #[test]
    fn what_is_not_written_is_not_read() {
        let mut full = [0xff_u8; 512];
        assert!(Chunk::decode(&full).is_some());
        full[32..].fill(0);
        for forged in [
            &b""[..],
            &[1],
            &[1, 0, 1, 0],
            &[2, 0, 1, 0],
            &[0, 16],
            &[0xff, 0xff],
            &[0; 511],
            &[0; 512],
            &[0; 513],
            // 256 bits are set, then 255.
            &full[..510],
        ] {
            assert!(Chunk::decode(forged).is_none(), "{forged:?}");
        }
        assert!(Chunk::decode(&full).is_some());
        full[0] = 0xfe;
        assert!(Chunk::decode(&full).is_none());
    }

    #[test]
    fn chunks_ascend_with_keys() {
        let keys = [i64::MIN, -4_097, -4_096, -1, 0, 4_095, 4_096, i64::MAX];
        let places: Vec<_> = keys.iter().map(|key| place(*key)).collect();
        assert!(places.is_sorted());
        assert_eq!(places[0], (0, 0));
        assert_eq!(places[2].1, 0);
        assert_eq!(places[3].1, 4_095);
        assert_eq!(places[7], ((1 << 52) - 1, 4_095));
    }
}
