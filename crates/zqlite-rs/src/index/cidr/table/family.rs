//! The prefixes of one address family.
//!
//! They are sorted by base address, then by length. So whatever covers an address covers its *predecessor*, the last
//! prefix that does not begin after it: a prefix M that covers address A begins at or before the predecessor P, which
//! begins in M then. Each prefix keeps a bit for the length of each that covers it. One search finds P, its bits say
//! which length is the longest that covers A, and a second search finds that prefix.

/// The most prefixes in a run.
const RUN: usize = 512;

/// An address as a number; also a set of prefix lengths, each shorter than the address.
pub(in crate::index::cidr) trait Address: Copy + Ord {
    const ZERO: Self;
    /// The first `len` bits; the others zero.
    fn keep(self, len: u8) -> Self;
    /// How many leading bits are the same.
    fn common(self, other: Self) -> u8;
    fn with(self, len: u8) -> Self;
    fn without(self, len: u8) -> Self;
    /// The lengths of the set that are not greater than `len`.
    fn up_to(self, len: u8) -> Self;
    fn longest(self) -> Option<u8>;
}

macro_rules! address {
    ($number:ty) => {
        impl Address for $number {
            const ZERO: Self = 0;

            #[inline]
            fn keep(self, len: u8) -> Self {
                self & !Self::MAX.checked_shr(u32::from(len)).unwrap_or(0)
            }

            #[inline]
            fn common(self, other: Self) -> u8 {
                // At most 128.
                (self ^ other).leading_zeros().to_le_bytes()[0]
            }

            #[inline]
            fn with(self, len: u8) -> Self {
                self | Self::from(1_u8).checked_shl(u32::from(len)).unwrap_or(0)
            }

            #[inline]
            fn without(self, len: u8) -> Self {
                self & !Self::from(1_u8).checked_shl(u32::from(len)).unwrap_or(0)
            }

            #[inline]
            fn up_to(self, len: u8) -> Self {
                let above = Self::MAX.checked_shl(u32::from(len) + 1).unwrap_or(0);
                self & !above
            }

            #[inline]
            fn longest(self) -> Option<u8> {
                self.checked_ilog2().map(|len| len.to_le_bytes()[0])
            }
        }
    };
}

address!(u32);
address!(u128);

/// The first `len` bits of an address; the others zero.
pub(in crate::index::cidr) fn keep<A: Address>(address: A, len: u8) -> A {
    address.keep(len)
}

#[derive(Default)]
struct Run<A, V> {
    bases: Vec<A>,
    lens: Vec<u8>,
    /// The lengths of the prefixes that cover this one, without itself.
    covering: Vec<A>,
    values: Vec<V>,
}

impl<A: Address, V> Run<A, V> {
    const fn new() -> Self {
        Self {
            bases: Vec::new(),
            lens: Vec::new(),
            covering: Vec::new(),
            values: Vec::new(),
        }
    }

    fn insert(&mut self, at: usize, (base, len, covering, value): (A, u8, A, V)) {
        self.bases.insert(at, base);
        self.lens.insert(at, len);
        self.covering.insert(at, covering);
        self.values.insert(at, value);
    }

    fn remove(&mut self, at: usize) -> V {
        self.bases.remove(at);
        self.lens.remove(at);
        self.covering.remove(at);
        self.values.remove(at)
    }

    fn split_off(&mut self, at: usize) -> Self {
        Self {
            bases: self.bases.split_off(at),
            lens: self.lens.split_off(at),
            covering: self.covering.split_off(at),
            values: self.values.split_off(at),
        }
    }

    fn append(&mut self, mut other: Self) {
        self.bases.append(&mut other.bases);
        self.lens.append(&mut other.lens);
        self.covering.append(&mut other.covering);
        self.values.append(&mut other.values);
    }
}

/// Where a prefix stands: its run, and its place there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    run: usize,
    at: usize,
}

pub(super) struct Family<A, V> {
    /// None is empty.
    runs: Vec<Run<A, V>>,
    /// The first base of each run.
    firsts: Vec<A>,
    len: usize,
}

impl<A: Address, V> Family<A, V> {
    pub(super) const fn new() -> Self {
        Self {
            runs: Vec::new(),
            firsts: Vec::new(),
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    // --- lookups --------------------------------------------------------------------------------

    /// The last prefix that is not after this one.
    #[inline]
    fn predecessor(&self, base: A, len: u8) -> Option<Place> {
        let run = self.firsts.partition_point(|first| *first <= base);
        let run = run.checked_sub(1)?;
        let at = self.runs[run].bases.partition_point(|other| *other <= base);
        let mut place = Place {
            run,
            at: at.checked_sub(1)?,
        };
        // Those with the same base are few, and none for an address.
        while self.key(place).0 == base && self.key(place).1 > len {
            place = self.before(place)?;
        }
        Some(place)
    }

    #[inline]
    fn key(&self, place: Place) -> (A, u8) {
        let run = &self.runs[place.run];
        (run.bases[place.at], run.lens[place.at])
    }

    fn before(&self, place: Place) -> Option<Place> {
        match place.at.checked_sub(1) {
            Some(at) => Some(Place { at, ..place }),
            None => {
                let run = place.run.checked_sub(1)?;
                let at = self.runs[run].bases.len() - 1;
                Some(Place { run, at })
            }
        }
    }

    fn after(&self, place: Place) -> Option<Place> {
        let at = place.at + 1;
        if at < self.runs[place.run].bases.len() {
            return Some(Place { at, ..place });
        }
        let run = place.run + 1;
        (run < self.runs.len()).then_some(Place { run, at: 0 })
    }

    fn find(&self, base: A, len: u8) -> Option<Place> {
        let place = self.predecessor(base, len)?;
        (self.key(place) == (base, len)).then_some(place)
    }

    fn item(&self, place: Place) -> (A, u8, &V) {
        let (base, len) = self.key(place);
        (base, len, &self.runs[place.run].values[place.at])
    }

    /// The predecessor, if it covers the prefix itself, and the lengths of the others that do.
    #[inline]
    fn covering(&self, base: A, len: u8) -> (Option<Place>, A) {
        let Some(place) = self.predecessor(base, len) else {
            return (None, A::ZERO);
        };
        let covering = self.runs[place.run].covering[place.at];
        let (other, other_len) = self.key(place);
        let common = base.common(other);
        if common >= other_len && other_len <= len {
            return (Some(place), covering);
        }
        (None, covering.up_to(common.min(len)))
    }

    #[inline]
    pub(super) fn longest_match(&self, base: A, len: u8) -> Option<(A, u8, &V)> {
        let place = match self.covering(base, len) {
            (Some(place), _) => place,
            (None, lens) => {
                let len = lens.longest()?;
                self.find(base.keep(len), len)?
            }
        };
        Some(self.item(place))
    }

    pub(super) fn all_matches(&self, base: A, len: u8) -> impl Iterator<Item = (A, u8, &V)> {
        let (first, mut lens) = self.covering(base, len);
        let others = core::iter::from_fn(move || {
            let len = lens.longest()?;
            lens = lens.without(len);
            self.find(base.keep(len), len)
        });
        first
            .into_iter()
            .chain(others)
            .map(|place| self.item(place))
    }

    pub(super) fn contained_in(&self, base: A, len: u8) -> impl Iterator<Item = (A, u8, &V)> {
        self.from(self.first_inside(base, len))
            .take_while(move |(other, ..)| other.keep(len) == base)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (A, u8, &V)> {
        let first = (!self.runs.is_empty()).then_some(Place { run: 0, at: 0 });
        self.from(first)
    }

    fn from(&self, mut next: Option<Place>) -> impl Iterator<Item = (A, u8, &V)> {
        core::iter::from_fn(move || {
            let place = next?;
            next = self.after(place);
            Some(self.item(place))
        })
    }

    /// The first prefix that is not before this one.
    fn first_inside(&self, base: A, len: u8) -> Option<Place> {
        match self.predecessor(base, len) {
            Some(place) if self.key(place) == (base, len) => Some(place),
            Some(place) => self.after(place),
            None => (!self.runs.is_empty()).then_some(Place { run: 0, at: 0 }),
        }
    }

    pub(super) fn get(&self, base: A, len: u8) -> Option<&V> {
        let place = self.find(base, len)?;
        Some(self.item(place).2)
    }

    // --- changes --------------------------------------------------------------------------------

    pub(super) fn get_mut(&mut self, base: A, len: u8) -> Option<&mut V> {
        let place = self.find(base, len)?;
        self.runs[place.run].values.get_mut(place.at)
    }

    pub(super) fn insert(&mut self, base: A, len: u8, value: V) -> Option<V> {
        let place = match self.predecessor(base, len) {
            Some(place) if self.key(place) == (base, len) => {
                let old = &mut self.runs[place.run].values[place.at];
                return Some(core::mem::replace(old, value));
            }
            place => place,
        };
        let covering = match self.covering(base, len) {
            (Some(place), lens) => lens.with(self.key(place).1),
            (None, lens) => lens,
        };
        let place = self.room_after(place, base);
        self.runs[place.run].insert(place.at, (base, len, covering, value));
        if place.at == 0 {
            self.firsts[place.run] = base;
        }
        self.len += 1;
        self.mark_inside(self.after(place), (base, len), |lens| lens.with(len));
        None
    }

    /// Makes room for one more after a place, in a run that is not full then.
    fn room_after(&mut self, place: Option<Place>, base: A) -> Place {
        if self.runs.is_empty() {
            self.runs.push(Run::new());
            self.firsts.push(base);
        }
        let mut place = place.map_or(Place { run: 0, at: 0 }, |place| Place {
            at: place.at + 1,
            ..place
        });
        if self.runs[place.run].bases.len() < RUN {
            return place;
        }
        // Prefixes that come in order leave full runs behind them.
        let is_end = place.at == RUN && place.run + 1 == self.runs.len();
        let half = if is_end { RUN } else { RUN / 2 };
        let rest = self.runs[place.run].split_off(half);
        let first = rest.bases.first().copied().unwrap_or(base);
        self.runs.insert(place.run + 1, rest);
        self.firsts.insert(place.run + 1, first);
        if place.at > half || is_end {
            place = Place {
                run: place.run + 1,
                at: place.at - half,
            };
        }
        place
    }

    pub(super) fn remove(&mut self, base: A, len: u8) -> Option<V> {
        let place = self.find(base, len)?;
        self.mark_inside(self.after(place), (base, len), |lens| lens.without(len));
        let value = self.runs[place.run].remove(place.at);
        self.len -= 1;
        self.tidy(place.run);
        Some(value)
    }

    /// After a removal: no run is empty, and two that are half empty become one.
    fn tidy(&mut self, run: usize) {
        let own = self.runs[run].bases.len();
        let next = self.runs.get(run + 1).map(|next| next.bases.len());
        if own == 0 {
            self.runs.remove(run);
            self.firsts.remove(run);
            return;
        }
        self.firsts[run] = self.runs[run].bases[0];
        if next.is_some_and(|next| own + next <= RUN / 2) {
            let next = self.runs.remove(run + 1);
            self.firsts.remove(run + 1);
            self.runs[run].append(next);
        }
    }

    /// Changes what the prefixes inside one know of it.
    fn mark_inside(
        &mut self,
        mut next: Option<Place>,
        (base, len): (A, u8),
        mark: impl Fn(A) -> A,
    ) {
        while let Some(place) = next
            && self.key(place).0.keep(len) == base
        {
            let covering = &mut self.runs[place.run].covering[place.at];
            *covering = mark(*covering);
            next = self.after(place);
        }
    }
}
