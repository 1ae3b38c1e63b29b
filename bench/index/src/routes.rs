//! Routes like those of the Internet, and addresses to look up: the same ones each time.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::numbers::Numbers;

#[derive(Clone, Copy)]
pub(crate) enum Family {
    V4,
    V6,
}

/// A prefix: its address as an integer, and its length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) base: u64,
    pub(crate) len: u8,
}

/// An address as an integer, and as itself.
pub(crate) struct Asked {
    pub(crate) number: i64,
    pub(crate) address: IpAddr,
}

/// The prefixes of one family. Those of IPv6 have at most 64 bits, so that an integer holds them.
pub(crate) struct Routes {
    family: Family,
    pub(crate) routes: Vec<Route>,
}

impl Routes {
    /// Different prefixes. Over half of IPv4 are /24, the others from /8 to /32; nearly half of IPv6 are /48, a sixth
    /// /32, the others from /19 to /64.
    pub(crate) fn new(family: Family, count: usize) -> Self {
        let mut numbers = Numbers::new(1);
        let mut routes = BTreeSet::new();
        while routes.len() < count {
            let len = family.len(&mut numbers);
            let base = family.number(&mut numbers) & family.mask(len);
            routes.insert(Route { base, len });
        }
        let routes = routes.into_iter().collect();
        Self { family, routes }
    }

    /// Each length that occurs, and its bits.
    pub(crate) fn masks(&self) -> BTreeSet<(u8, i64)> {
        let mask = |route: &Route| (route.len, self.family.mask(route.len).cast_signed());
        self.routes.iter().map(mask).collect()
    }

    pub(crate) fn text(&self, route: Route) -> String {
        format!("{}/{}", self.family.address(route.base, 0), route.len)
    }

    /// Half of them lie in a route, half are any.
    pub(crate) fn addresses(&self, count: usize) -> Vec<Asked> {
        let mut numbers = Numbers::new(2);
        (0..count)
            .map(|at| {
                let any = self.family.number(&mut numbers);
                let route = self.routes[numbers.below(self.routes.len())];
                let number = if at % 2 == 0 {
                    route.base | (any & !self.family.mask(route.len))
                } else {
                    any
                };
                Asked {
                    number: number.cast_signed(),
                    address: self.family.address(number, numbers.next()),
                }
            })
            .collect()
    }
}

impl Family {
    const fn bits(self) -> u32 {
        match self {
            Self::V4 => 32,
            Self::V6 => 64,
        }
    }

    /// The first `len` bits.
    fn mask(self, len: u8) -> u64 {
        let all = u64::MAX >> (64 - self.bits());
        all & !all.checked_shr(u32::from(len)).unwrap_or(0)
    }

    /// An address; of IPv6, the first half of one in 2000::/3.
    const fn number(self, numbers: &mut Numbers) -> u64 {
        match self {
            Self::V4 => numbers.next() >> 32,
            Self::V6 => 1 << 61 | numbers.next() >> 3,
        }
    }

    fn address(self, number: u64, rest: u64) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(0)).into(),
            Self::V6 => Ipv6Addr::from(u128::from(number) << 64 | u128::from(rest)).into(),
        }
    }

    fn len(self, numbers: &mut Numbers) -> u8 {
        let len = match (self, numbers.next() % 100) {
            (Self::V4, 0..=57) => 24,
            (Self::V4, 58..=67) => 23,
            (Self::V4, 68..=77) => 22,
            (Self::V4, 78..=82) => 21,
            (Self::V4, 83..=87) => 20,
            (Self::V4, 88..=90) => 19,
            (Self::V4, 91 | 92) => 18,
            (Self::V4, 93 | 94) => 17,
            (Self::V4, 95..=97) => 16,
            (Self::V4, 98) => 25 + numbers.next() % 8,
            (Self::V4, _) => 8 + numbers.next() % 8,
            (Self::V6, 0..=46) => 48,
            (Self::V6, 47..=62) => 32,
            (Self::V6, 63..=71) => 40,
            (Self::V6, 72..=79) => 44,
            (Self::V6, 80..=84) => 36,
            (Self::V6, 85..=88) => 29,
            (Self::V6, 89..=91) => 46,
            (Self::V6, 92..=94) => 64,
            (Self::V6, 95..=98) => 33 + numbers.next() % 31,
            (Self::V6, _) => 19 + numbers.next() % 13,
        };
        u8::try_from(len).unwrap_or(24)
    }
}
