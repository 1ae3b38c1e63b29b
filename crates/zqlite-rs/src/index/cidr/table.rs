//! Prefixes in memory, for lookups in tens of nanoseconds.

use core::fmt;

mod family;

use family::Family;
pub(super) use family::keep;

use super::prefix::{Bits, Prefix};

/// A map from prefixes to values that answers which prefixes cover an address, and which lie in a prefix.
///
/// Prefixes stand sorted, in runs of at most 512, and each knows how long those are that cover it: a longest match is
/// one binary search, or two. A prefix takes about 12 bytes (IPv4) or 36 (IPv6), and its value. Changing a prefix
/// takes time in proportion to those that it covers.
///
/// ```
/// use zqlite::index::cidr::{Prefix, PrefixTable};
///
/// let mut routes = PrefixTable::new();
/// routes.insert("10.0.0.0/8".parse()?, "office");
/// routes.insert("10.1.0.0/16".parse()?, "lab");
/// routes.insert("fd00::/8".parse()?, "tunnel");
///
/// let address: std::net::IpAddr = "10.1.2.3".parse()?;
/// let (prefix, name) = routes.longest_match(address).expect("it is routed");
/// assert_eq!((prefix.to_string().as_str(), *name), ("10.1.0.0/16", "lab"));
///
/// let all: Vec<_> = routes.all_matches(address).map(|(_, name)| *name).collect();
/// assert_eq!(all, ["lab", "office"]);
///
/// let inside = routes.contained_in("10.0.0.0/8".parse::<Prefix>()?);
/// assert_eq!(inside.count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PrefixTable<V> {
    v4: Family<u32, V>,
    v6: Family<u128, V>,
}

impl<V> PrefixTable<V> {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            v4: Family::new(),
            v6: Family::new(),
        }
    }

    /// How many prefixes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether it holds no prefix.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a prefix.
    #[must_use]
    pub fn get(&self, prefix: Prefix) -> Option<&V> {
        match prefix.bits() {
            Bits::V4(base, len) => self.v4.get(base, len),
            Bits::V6(base, len) => self.v6.get(base, len),
        }
    }

    /// The value of a prefix, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, prefix: Prefix) -> Option<&mut V> {
        match prefix.bits() {
            Bits::V4(base, len) => self.v4.get_mut(base, len),
            Bits::V6(base, len) => self.v6.get_mut(base, len),
        }
    }

    /// Sets the value of a prefix, and gives the one that it had. Prefixes in ascending order are fastest.
    pub fn insert(&mut self, prefix: Prefix, value: V) -> Option<V> {
        match prefix.bits() {
            Bits::V4(base, len) => self.v4.insert(base, len, value),
            Bits::V6(base, len) => self.v6.insert(base, len, value),
        }
    }

    /// Takes a prefix out.
    pub fn remove(&mut self, prefix: Prefix) -> Option<V> {
        match prefix.bits() {
            Bits::V4(base, len) => self.v4.remove(base, len),
            Bits::V6(base, len) => self.v6.remove(base, len),
        }
    }

    /// The longest prefix that covers an address, or a whole prefix.
    #[must_use]
    #[inline]
    pub fn longest_match(&self, of: impl Into<Prefix>) -> Option<(Prefix, &V)> {
        match of.into().bits() {
            Bits::V4(base, len) => self
                .v4
                .longest_match(base, len)
                .map(|(base, len, value)| (Prefix::from_bits(Bits::V4(base, len)), value)),
            Bits::V6(base, len) => self
                .v6
                .longest_match(base, len)
                .map(|(base, len, value)| (Prefix::from_bits(Bits::V6(base, len)), value)),
        }
    }

    /// All prefixes that cover an address, or a whole prefix; the longest first.
    pub fn all_matches(&self, of: impl Into<Prefix>) -> impl Iterator<Item = (Prefix, &V)> {
        let (v4, v6) = match of.into().bits() {
            Bits::V4(base, len) => (Some(self.v4.all_matches(base, len)), None),
            Bits::V6(base, len) => (None, Some(self.v6.all_matches(base, len))),
        };
        from_families(v4, v6)
    }

    /// All prefixes that lie in this one, itself included, in ascending order.
    pub fn contained_in(&self, prefix: Prefix) -> impl Iterator<Item = (Prefix, &V)> {
        let (v4, v6) = match prefix.bits() {
            Bits::V4(base, len) => (Some(self.v4.contained_in(base, len)), None),
            Bits::V6(base, len) => (None, Some(self.v6.contained_in(base, len))),
        };
        from_families(v4, v6)
    }

    /// All prefixes that share an address with this one: those that cover it, the longest first, and those that lie
    /// in it, in ascending order. Itself comes once.
    pub fn overlaps(&self, prefix: Prefix) -> impl Iterator<Item = (Prefix, &V)> {
        self.all_matches(prefix)
            .filter(move |(found, _)| *found != prefix)
            .chain(self.contained_in(prefix))
    }

    /// All prefixes in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (Prefix, &V)> {
        from_families(Some(self.v4.iter()), Some(self.v6.iter()))
    }
}

fn from_families<'a, V: 'a>(
    v4: Option<impl Iterator<Item = (u32, u8, &'a V)>>,
    v6: Option<impl Iterator<Item = (u128, u8, &'a V)>>,
) -> impl Iterator<Item = (Prefix, &'a V)> {
    let v4 = v4
        .into_iter()
        .flatten()
        .map(|(base, len, value)| (Prefix::from_bits(Bits::V4(base, len)), value));
    let v6 = v6
        .into_iter()
        .flatten()
        .map(|(base, len, value)| (Prefix::from_bits(Bits::V6(base, len)), value));
    v4.chain(v6)
}

impl<V> Default for PrefixTable<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: fmt::Debug> fmt::Debug for PrefixTable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<V> Extend<(Prefix, V)> for PrefixTable<V> {
    fn extend<I: IntoIterator<Item = (Prefix, V)>>(&mut self, prefixes: I) {
        for (prefix, value) in prefixes {
            self.insert(prefix, value);
        }
    }
}

/// Builds a table; later values replace earlier ones.
impl<V> FromIterator<(Prefix, V)> for PrefixTable<V> {
    fn from_iter<I: IntoIterator<Item = (Prefix, V)>>(prefixes: I) -> Self {
        let mut sorted: Vec<_> = prefixes.into_iter().collect();
        sorted.sort_by_key(|(prefix, _)| *prefix);
        let mut table = Self::new();
        table.extend(sorted);
        table
    }
}
