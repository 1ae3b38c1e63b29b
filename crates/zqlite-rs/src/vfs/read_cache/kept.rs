//! Opened pages, as many as memory is given for.
//!
//! Interior pages are kept from their first reading on. So are others as long as there is room; then they are kept when they
//! are asked for again before others have been in their stead. What is read in a run is not kept: a scan displaces nothing,
//! and costs no memory. What was not asked for since the hand of the clock last passed goes first; interior pages outlast
//! several rounds.

use core::hash::{BuildHasherDefault, Hasher};
use std::collections::HashMap;

use zeroize::Zeroize;

use super::budget::Share;
use crate::vfs::ffi;

/// The first pages stand in so many bytes, all others in pieces of this size, which the system is asked for one by one.
const FIRST_REGION: usize = 512 << 10;
const REGION: usize = 16 << 20;
/// Rounds of the clock that an interior page outlasts, and any other.
const INTERIOR_ROUNDS: u8 = 3;
const LEAF_ROUNDS: u8 = 1;
/// How many numbers of pages that were asked for are remembered, by bits of a hash.
const SEEN_BITS: u32 = 15;
/// Where what is kept is not asked for, one of so many pages may displace another: by the bits of a hash from this one on.
const DOUBTS: u64 = 8;
const DOUBTS_AT: u32 = 32;
/// What earlier use counts for at most.
const MOST_TRUST: u32 = 4_096;

/// How many bytes of pages a connection keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limit {
    /// Whatever other connections keep.
    pub(super) own: usize,
    /// Beyond that, as long as the budget of the process has them.
    pub(super) shared: usize,
}

/// The pages that are kept.
pub(super) struct Kept {
    limit: Limit,
    /// How many of its bytes are ours.
    granted: usize,
    share: Share,
    page_len: usize,
    /// Each was reserved as a whole, and is filled from its beginning.
    regions: Vec<Vec<u8>>,
    slots: Vec<Slot>,
    /// Slots that hold nothing: the next pages go there.
    free: Vec<usize>,
    hand: usize,
    index: HashMap<u32, usize, BuildHasherDefault<PageHasher>>,
    seen: Vec<u32>,
    /// How many more pages were taken from here than displaced others, within bounds.
    trust: u32,
}

/// What stands in one place.
struct Slot {
    /// 0: nothing.
    number: u32,
    rounds: u8,
    most_rounds: u8,
}

impl Slot {
    const EMPTY: Self = Self {
        number: 0,
        rounds: 0,
        most_rounds: 0,
    };
}

/// A page that was kept, and is about to be written.
pub(in crate::vfs) struct TakenOut(Slot);

/// How a page was come by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::vfs) enum Came {
    /// It was read by itself.
    Alone,
    /// It was read in a run.
    InRun,
}

impl Kept {
    /// Keeps as many pages as `limit` says.
    pub(super) fn new(limit: Limit) -> Self {
        Self {
            limit,
            granted: limit.own,
            share: Share::default(),
            page_len: 0,
            regions: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            index: HashMap::default(),
            seen: Vec::new(),
            trust: 0,
        }
    }

    /// Keeps as many pages as `limit` says from now on.
    pub(super) fn set_limit(&mut self, limit: Limit) {
        if limit != self.limit {
            *self = Self::new(limit);
        }
    }

    /// Copies a page into `page`, if it is here.
    pub(super) fn get(&mut self, number: u32, page: &mut [u8]) -> bool {
        if page.len() != self.page_len {
            return false;
        }
        let Some(&at) = self.index.get(&number) else {
            return false;
        };
        let Some(kept) = self.bytes(at) else {
            return false;
        };
        page.copy_from_slice(kept);
        if let Some(slot) = self.slots.get_mut(at) {
            slot.rounds = slot.most_rounds;
            if slot.most_rounds == LEAF_ROUNDS {
                self.trust = MOST_TRUST.min(self.trust + 1);
            }
        }
        true
    }

    /// Offers a page.
    pub(super) fn put(&mut self, number: u32, page: &[u8], came: Came) {
        let interior = is_interior(page);
        if !interior && came == Came::InRun {
            return;
        }
        if page.len() != self.page_len {
            self.clear();
            self.wipe();
            self.regions.clear();
            self.page_len = page.len();
        }
        if !interior && !self.has_room() && !self.pays(number) {
            return;
        }
        let at = match self.index.get(&number).copied() {
            Some(at) => Some(at),
            None => self.place(),
        };
        let Some(at) = at else { return };
        let slot = Slot {
            number,
            // A leaf that nobody asks for here is the first to go.
            rounds: if interior { INTERIOR_ROUNDS } else { 0 },
            most_rounds: most_rounds(page),
        };
        self.fill(at, slot, page);
    }

    fn fill(&mut self, at: usize, slot: Slot, page: &[u8]) {
        let number = slot.number;
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot;
        }
        if self.write(at, page).is_some() {
            self.index.insert(number, at);
        } else if at + 1 == self.slots.len() {
            // There is no memory: it stays as large as it is.
            self.slots.pop();
            self.limit = Limit {
                own: at * self.page_len,
                shared: 0,
            };
            self.grant(self.limit.own);
        }
    }

    /// Takes one page out, if it is here, until it is known what it is from now on.
    pub(super) fn take_out(&mut self, number: u32) -> Option<TakenOut> {
        let at = self.index.remove(&number)?;
        let slot = core::mem::replace(self.slots.get_mut(at)?, Slot::EMPTY);
        self.free.push(at);
        Some(TakenOut(slot))
    }

    /// Puts the page back that was taken out last, as it is now.
    pub(super) fn put_back(&mut self, TakenOut(slot): TakenOut, page: &[u8]) {
        if page.len() == self.page_len
            && let Some(at) = self.free.pop()
        {
            // It may have become an interior page, or none.
            let most_rounds = most_rounds(page);
            let slot = Slot {
                rounds: slot.rounds.min(most_rounds),
                most_rounds,
                ..slot
            };
            self.fill(at, slot, page);
        }
    }

    /// Forgets all pages. Their memory serves the next ones; what had not been used since it was last cleared, others get.
    pub(super) fn clear(&mut self) {
        let used = self.slots.len() * self.page_len;
        self.index.clear();
        self.slots.clear();
        self.free.clear();
        self.hand = 0;
        let beyond = used.saturating_sub(self.limit.own).div_ceil(REGION) * REGION;
        let needed = self.limit.own.saturating_add(beyond);
        if needed < self.granted {
            self.grant(needed);
            let regions = self
                .at(needed / self.page_len.max(1))
                .map_or(0, |(which, _)| which + 1);
            for region in self.regions.get_mut(regions..).unwrap_or_default() {
                region.as_mut_slice().zeroize();
            }
            self.regions.truncate(regions);
        }
    }

    /// Has fewer bytes from now on.
    fn grant(&mut self, bytes: usize) {
        self.share.shrink(self.granted.saturating_sub(bytes));
        self.granted = bytes;
    }

    /// Whether a leaf is worth another's place: it was asked for before, and those that are here are asked for.
    fn pays(&mut self, number: u32) -> bool {
        let hash = hash(number);
        // Some are tried all the same: always the same ones, so that they meet again.
        if self.trust == 0 && (hash >> DOUBTS_AT).is_multiple_of(DOUBTS) {
            return self.was_seen(number, hash);
        }
        if self.trust > 0 && self.was_seen(number, hash) {
            self.trust -= 1;
            return true;
        }
        false
    }

    /// Whether one more page needs no other's place.
    fn has_room(&mut self) -> bool {
        if !self.free.is_empty() {
            return true;
        }
        let needed = (self.slots.len() + 1) * self.page_len;
        if needed <= self.granted {
            return true;
        }
        let left = self
            .limit
            .own
            .saturating_add(self.limit.shared)
            .saturating_sub(self.granted);
        let more = left.min(REGION);
        if needed <= self.granted + more && self.share.grow(more) {
            self.granted += more;
            return true;
        }
        false
    }

    /// A place for one more page: a free one, a new one, or that of another.
    fn place(&mut self) -> Option<usize> {
        if let Some(at) = self.free.pop() {
            return Some(at);
        }
        if self.has_room() {
            self.slots.push(Slot::EMPTY);
            return Some(self.slots.len() - 1);
        }
        // Each slot loses a round each time: some slot has none left after that many.
        for _ in 0..=self.slots.len() * usize::from(INTERIOR_ROUNDS) {
            let at = self.hand;
            self.hand = (at + 1) % self.slots.len().max(1);
            let slot = self.slots.get_mut(at)?;
            if slot.rounds == 0 {
                self.index.remove(&slot.number);
                return Some(at);
            }
            slot.rounds -= 1;
        }
        None
    }

    /// Whether the page was asked for before, not too many others ago.
    fn was_seen(&mut self, number: u32, hash: u64) -> bool {
        if self.seen.is_empty() {
            self.seen = vec![0; 1 << SEEN_BITS];
        }
        let at = usize::try_from(hash >> (u64::BITS - SEEN_BITS)).unwrap_or_default();
        match self.seen.get_mut(at) {
            Some(seen) if *seen == number => true,
            Some(seen) => {
                *seen = number;
                false
            }
            None => false,
        }
    }

    /// In which region a slot is, and from where.
    fn at(&self, slot: usize) -> Option<(usize, usize)> {
        let in_first = FIRST_REGION.checked_div(self.page_len)?;
        Some(match slot.checked_sub(in_first) {
            None => (0, slot * self.page_len),
            Some(rest) => {
                let in_each = REGION / self.page_len;
                (1 + rest / in_each, rest % in_each * self.page_len)
            }
        })
    }

    fn bytes(&self, slot: usize) -> Option<&[u8]> {
        let (region, start) = self.at(slot)?;
        self.regions.get(region)?.get(start..start + self.page_len)
    }

    /// `None` if there is no memory, and the page is not kept.
    fn write(&mut self, slot: usize, page: &[u8]) -> Option<()> {
        let (which, start) = self.at(slot)?;
        if which == self.regions.len() {
            self.regions.push(region(which)?);
        }
        let region = self.regions.get_mut(which)?;
        if let Some(place) = region.get_mut(start..start + page.len()) {
            place.copy_from_slice(page);
            return Some(());
        }
        // Slots come one after the other. What does not fit into the reserve would be moved, and left behind unwiped.
        if region.len() != start || region.capacity() - start < page.len() {
            return None;
        }
        region.extend_from_slice(page);
        Some(())
    }

    fn wipe(&mut self) {
        for region in &mut self.regions {
            region.as_mut_slice().zeroize();
        }
    }
}

/// An empty region. The system gives its memory when it is first touched.
fn region(which: usize) -> Option<Vec<u8>> {
    let mut region = Vec::new();
    let len = if which == 0 { FIRST_REGION } else { REGION };
    region.try_reserve_exact(len).ok()?;
    if which > 0 {
        ffi::prefer_large_pages(region.spare_capacity_mut());
    }
    Some(region)
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.wipe();
    }
}

const fn most_rounds(page: &[u8]) -> u8 {
    if is_interior(page) {
        INTERIOR_ROUNDS
    } else {
        LEAF_ROUNDS
    }
}

/// Whether a page has the first byte of an interior page of a table or an index. Others may have it, too: then they
/// are kept in vain.
const fn is_interior(page: &[u8]) -> bool {
    matches!(page.first(), Some(2 | 5))
}

fn hash(number: u32) -> u64 {
    let mut hasher = PageHasher::default();
    hasher.write_u32(number);
    hasher.finish()
}

/// Spreads page numbers (multiplication by 2^64 / φ). There are few, and whoever chooses them gains no more than that all of
/// them are looked at.
#[derive(Default)]
struct PageHasher(u64);

impl Hasher for PageHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(byte.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 4_096;
    /// As many pages fit into both regions of this.
    const MOST: u32 = 300;

    fn page(kind: u8, number: u32) -> Vec<u8> {
        let mut page = vec![0; LEN];
        page[0] = kind;
        page[1..5].copy_from_slice(&number.to_be_bytes());
        page
    }

    fn interior(number: u32) -> Vec<u8> {
        page(5, number)
    }

    fn leaf(number: u32) -> Vec<u8> {
        page(13, number)
    }

    fn own(bytes: usize) -> Limit {
        Limit {
            own: bytes,
            shared: 0,
        }
    }

    fn kept() -> Kept {
        Kept::new(own(MOST as usize * LEN))
    }

    fn has(kept: &mut Kept, number: u32, expected: &[u8]) -> bool {
        let mut page = vec![0; LEN];
        let found = kept.get(number, &mut page);
        assert!(!found || page == expected, "page {number} is another");
        found
    }

    #[test]
    fn an_interior_page_is_kept_at_once_and_a_leaf_if_there_is_room_and_it_is_not_read_in_a_run() {
        let mut kept = kept();
        kept.put(2, &interior(2), Came::InRun);
        assert!(has(&mut kept, 2, &interior(2)));
        kept.put(3, &leaf(3), Came::InRun);
        assert!(!has(&mut kept, 3, &leaf(3)), "a scan");
        kept.put(3, &leaf(3), Came::Alone);
        assert!(has(&mut kept, 3, &leaf(3)));
        for number in 4..2 + MOST {
            kept.put(number, &leaf(number), Came::Alone);
            assert!(has(&mut kept, number, &leaf(number)), "there is room");
        }
        let last = 2 + MOST;
        kept.put(last, &leaf(last), Came::Alone);
        assert!(!has(&mut kept, last, &leaf(last)), "there is none");
        kept.put(last, &leaf(last), Came::Alone);
        assert!(has(&mut kept, last, &leaf(last)), "asked for again");
        kept.put(last + 1, &interior(last + 1), Came::InRun);
        assert!(has(&mut kept, last + 1, &interior(last + 1)));
    }

    #[test]
    fn beyond_its_own_bytes_a_connection_keeps_what_the_budget_has() {
        let limit = |shared| Limit { own: LEN, shared };
        let room = |kept: &mut Kept| {
            (2..20)
                .filter(|&number| {
                    kept.put(number, &leaf(number), Came::Alone);
                    has(kept, number, &leaf(number))
                })
                .count()
        };
        assert_eq!(room(&mut Kept::new(limit(0))), 1);
        assert_eq!(room(&mut Kept::new(limit(9 * LEN))), 10);
        assert_eq!(room(&mut Kept::new(limit(usize::MAX))), 18);
    }

    #[test]
    fn every_page_is_given_back_as_it_was_whatever_made_room() {
        let mut kept = kept();
        let (mut found, mut asked) = (0, 0);
        for round in 0..4 {
            for number in (2..2 + 2 * MOST).step_by(round + 1) {
                let page = if number % 7 == 0 {
                    interior(number)
                } else {
                    leaf(number)
                };
                asked += 1;
                found += u32::from(has(&mut kept, number, &page));
                kept.put(number, &page, Came::Alone);
                assert!(kept.index.len() <= MOST as usize);
            }
        }
        assert_eq!(asked, 600 + 300 + 200 + 150);
        assert!(found > 50, "{found}");
    }

    #[test]
    fn what_is_used_outlasts_what_is_not_and_interior_pages_outlast_leaves() {
        let mut kept = kept();
        let put = |kept: &mut Kept, number: u32, page: &[u8]| {
            kept.put(number, page, Came::Alone);
            kept.put(number, page, Came::Alone);
        };
        put(&mut kept, 2, &interior(2));
        put(&mut kept, 3, &leaf(3));
        put(&mut kept, 4, &leaf(4));
        for number in 5..5 + 2 * MOST {
            assert!(has(&mut kept, 3, &leaf(3)), "before {number}");
            put(&mut kept, number, &leaf(number));
        }
        assert!(has(&mut kept, 2, &interior(2)));
        assert!(!has(&mut kept, 4, &leaf(4)));
        // It does not stay for ever.
        for number in 10_000..10_000 + 5 * MOST {
            put(&mut kept, number, &interior(number));
        }
        assert!(!has(&mut kept, 2, &interior(2)));
    }

    #[test]
    fn what_displaces_others_in_vain_does_so_less_often() {
        let mut kept = kept();
        let displaced = |kept: &mut Kept, first: u32| {
            let mut found = 0;
            for number in first..first + MOST {
                kept.put(number, &leaf(number), Came::Alone);
                kept.put(number, &leaf(number), Came::Alone);
                found += u32::from(kept.index.contains_key(&number));
            }
            found
        };
        assert_eq!(displaced(&mut kept, 1_000), MOST, "there is room");
        // Each page is offered twice: once in so many times it is taken.
        assert!(displaced(&mut kept, 2_000) <= MOST / 4);
        let here: Vec<u32> = kept.index.keys().copied().collect();
        assert_eq!(here.len(), MOST as usize);
        for number in here {
            assert!(has(&mut kept, number, &leaf(number)));
        }
        assert_eq!(displaced(&mut kept, 3_000), MOST, "they were asked for");
    }

    #[test]
    fn what_is_removed_or_cleared_is_gone_and_its_place_is_used_again() {
        let mut kept = kept();
        for number in 2..2 + MOST {
            kept.put(number, &interior(number), Came::Alone);
        }
        assert!(kept.take_out(9).is_some());
        assert!(!has(&mut kept, 9, &interior(9)));
        assert!(has(&mut kept, 10, &interior(10)));
        kept.put(500, &leaf(500), Came::Alone);
        assert!(has(&mut kept, 500, &leaf(500)), "there is room again");
        for number in 1_000..1_000 + 2 * MOST {
            kept.put(number, &interior(number), Came::Alone);
        }
        assert_eq!(kept.slots.len(), MOST as usize);
        kept.clear();
        assert!(!has(&mut kept, 1_000 + 2 * MOST - 1, &[]));
        kept.put(5, &interior(5), Came::Alone);
        assert!(has(&mut kept, 5, &interior(5)));
    }

    #[test]
    fn what_is_written_is_kept_as_it_is_now_and_takes_no_more_room() {
        let mut kept = kept();
        for number in 2..20 {
            kept.put(number, &leaf(number), Came::Alone);
        }
        assert!(kept.take_out(99).is_none(), "it is not here");
        for round in 0..1_000 {
            let number = 2 + round % 18;
            let taken = kept.take_out(number).expect("it is here");
            assert!(!has(&mut kept, number, &[]), "nobody knows what it is");
            kept.put_back(taken, &leaf(number + round));
            assert!(has(&mut kept, number, &leaf(number + round)));
        }
        assert_eq!((kept.slots.len(), kept.free.len()), (18, 0));
        // A root becomes an interior page as its table grows.
        let taken = kept.take_out(19).expect("it is here");
        kept.put_back(taken, &interior(19));
        let at = kept.index[&19];
        assert_eq!(kept.slots[at].most_rounds, INTERIOR_ROUNDS);
        // A write that failed: its place is the next one's.
        assert!(kept.take_out(7).is_some());
        kept.put(50, &leaf(50), Came::Alone);
        assert!(has(&mut kept, 50, &leaf(50)) && !has(&mut kept, 7, &[]));
        assert_eq!(kept.slots.len(), 18);
        assert!(kept.take_out(8).is_some());
        kept.clear();
        for number in 2..20 {
            kept.put(number, &leaf(number), Came::Alone);
        }
        for number in 2..20 {
            assert!(has(&mut kept, number, &leaf(number)));
        }
    }

    #[test]
    fn without_memory_nothing_is_kept_and_pages_of_another_length_take_all_of_it() {
        let mut none = Kept::new(own(LEN - 1));
        none.put(2, &interior(2), Came::Alone);
        assert!(!has(&mut none, 2, &interior(2)));
        let mut kept = kept();
        kept.put(2, &interior(2), Came::Alone);
        let mut large = vec![7; 65_536];
        large[0] = 5;
        kept.put(3, &large, Came::Alone);
        assert!(!has(&mut kept, 2, &interior(2)));
        let mut found = vec![0; 65_536];
        assert!(kept.get(3, &mut found));
        assert_eq!(found, large);
    }
}
