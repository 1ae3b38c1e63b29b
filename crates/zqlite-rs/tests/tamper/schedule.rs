//! Which bytes are flipped, and how.

use std::ops::Range;

/// The lowest bit, the highest, all.
const MASKS: [u8; 3] = [0x01, 0x80, 0xff];

/// The bytes that one run takes.
pub(crate) struct Schedule {
    stride: u64,
    all_masks: bool,
    seed: u64,
    state: u64,
}

impl Schedule {
    /// `sparser` times as far apart as `ZQLITE_TAMPER_STRIDE` says. What is drawn is printed: libtest shows it
    /// where a test fails.
    pub(crate) fn new(story: &str, sparser: u64) -> Self {
        let stride = number("ZQLITE_TAMPER_STRIDE").unwrap_or(16) * sparser;
        assert!(stride > 0, "ZQLITE_TAMPER_STRIDE must not be 0");
        let seed = number("ZQLITE_TAMPER_SEED").unwrap_or_else(random);
        println!("{story}: ZQLITE_TAMPER_SEED={seed}, stride {stride}");
        Self {
            stride,
            all_masks: std::env::var_os("ZQLITE_TAMPER_MASKS").is_some_and(|masks| masks == "all"),
            seed,
            state: seed,
        }
    }

    /// Offsets in a range, from a random first one.
    pub(crate) fn offsets(&mut self, range: Range<u64>) -> Vec<u64> {
        let first = range.start + self.draw() % self.stride;
        let step = usize::try_from(self.stride).unwrap();
        (first..range.end).step_by(step).collect()
    }

    /// Offsets in a range, each with what is flipped there.
    pub(crate) fn flips(&mut self, range: Range<u64>) -> Vec<(u64, u8)> {
        let offsets = self.offsets(range);
        if self.all_masks {
            let all = |at| MASKS.map(|mask| (at, mask));
            offsets.into_iter().flat_map(all).collect()
        } else {
            offsets.into_iter().map(|at| (at, self.mask())).collect()
        }
    }

    /// Every byte of a range, whatever the stride: where each one has a meaning of its own.
    pub(crate) fn every(&mut self, range: Range<u64>) -> Vec<(u64, u8)> {
        range.map(|at| (at, self.mask())).collect()
    }

    /// The least number of cases in a range of this length.
    pub(crate) const fn at_least(&self, len: u64) -> u64 {
        len / self.stride
    }

    fn mask(&mut self) -> u8 {
        MASKS[usize::try_from(self.draw() % 3).unwrap()]
    }

    /// `SplitMix64`.
    pub(crate) fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A sentence that names a case, and how to draw it again.
    pub(crate) fn case(&self, at: u64, mask: u8) -> String {
        format!(
            "byte {at} xor {mask:#04x} (ZQLITE_TAMPER_SEED={})",
            self.seed
        )
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// The keys of a hasher of the standard library are random. A short seed is easier to copy.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let hash = std::hash::RandomState::new().build_hasher().finish();
    hash & u64::from(u32::MAX)
}
