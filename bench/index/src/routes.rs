//! Routes like those of the Internet, and addresses to look up: the same ones each time.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// xorshift64*.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn address(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).unwrap_or(0)
    }
}

/// The first `len` bits.
pub(crate) const fn mask(len: u8) -> u32 {
    match u32::MAX.checked_shr(32 - len as u32) {
        Some(ones) => ones << (32 - len as u32),
        None => 0,
    }
}

/// Different prefixes: over half are /24, the others from /8 to /32.
pub(crate) fn routes(count: usize) -> Vec<(u32, u8)> {
    let mut numbers = Numbers::new(1);
    let mut routes = BTreeSet::new();
    while routes.len() < count {
        let len = match numbers.next() % 100 {
            0..=57 => 24,
            58..=67 => 23,
            68..=77 => 22,
            78..=82 => 21,
            83..=87 => 20,
            88..=90 => 19,
            91 | 92 => 18,
            93 | 94 => 17,
            95..=97 => 16,
            98 => 25 + numbers.next() % 8,
            _ => 8 + numbers.next() % 8,
        };
        let len = u8::try_from(len).unwrap_or(24);
        routes.insert((numbers.address() & mask(len), len));
    }
    routes.into_iter().collect()
}

/// Half of them lie in a route, half are any.
pub(crate) fn addresses(routes: &[(u32, u8)], count: usize) -> Vec<Ipv4Addr> {
    let mut numbers = Numbers::new(2);
    (0..count)
        .map(|at| {
            let any = numbers.address();
            let pick = usize::try_from(numbers.next() >> 1).unwrap_or(0) % routes.len();
            let (base, len) = routes[pick];
            let address = if at % 2 == 0 {
                base | (any & !mask(len))
            } else {
                any
            };
            Ipv4Addr::from(address)
        })
        .collect()
}
