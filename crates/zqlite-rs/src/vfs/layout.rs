//! Where SQLite's bytes stand in the sealed file (FORMAT.md section 2).

use zqlite_pq::header::HEADER_LEN;

/// Where the hole begins: SQLite's lock bytes, physical 1 GiB.
pub(crate) const HOLE_OFFSET: u64 = 1 << 30;
/// Length of the hole.
pub(crate) const HOLE_LEN: u64 = 65_536;
/// Logical bytes before the hole.
const BEFORE_HOLE: u64 = HOLE_OFFSET - HEADER_LEN;

/// The physical offset of a logical one (F-2).
pub(crate) const fn physical(logical: u64) -> u64 {
    if logical < BEFORE_HOLE {
        logical + HEADER_LEN
    } else {
        logical + HEADER_LEN + HOLE_LEN
    }
}

/// The logical offset up to which the bytes from `logical` on follow each other in the file.
pub(crate) const fn piece_end(logical: u64) -> u64 {
    if logical < BEFORE_HOLE {
        BEFORE_HOLE
    } else {
        u64::MAX
    }
}

/// The logical size of a file of a physical size (F-3).
pub(crate) const fn logical_len(physical: u64) -> u64 {
    if physical <= HEADER_LEN {
        0
    } else if physical <= HOLE_OFFSET {
        physical - HEADER_LEN
    } else if physical <= HOLE_OFFSET + HOLE_LEN {
        BEFORE_HOLE
    } else {
        physical - HEADER_LEN - HOLE_LEN
    }
}

/// The physical size of a file of a logical size: without the hole if nothing follows it.
pub(crate) const fn physical_len(logical: u64) -> u64 {
    if logical <= BEFORE_HOLE {
        logical + HEADER_LEN
    } else {
        logical + HEADER_LEN + HOLE_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_stand_around_the_hole_and_never_in_it() {
        for size in [4_096u64, 8_192, 16_384, 32_768, 65_536] {
            let last_before = BEFORE_HOLE - size;
            assert_eq!(physical(last_before) + size, HOLE_OFFSET);
            assert_eq!(physical(BEFORE_HOLE), HOLE_OFFSET + HOLE_LEN);
            assert_eq!(piece_end(last_before), BEFORE_HOLE);
            assert_eq!(piece_end(BEFORE_HOLE), u64::MAX);
            assert_eq!(BEFORE_HOLE % size, 0);
        }
        assert_eq!(physical(0), 131_072);
    }

    #[test]
    fn sizes_map_back() {
        for logical in [
            0,
            4_096,
            BEFORE_HOLE - 4_096,
            BEFORE_HOLE,
            BEFORE_HOLE + 4_096,
            1 << 40,
        ] {
            assert_eq!(logical_len(physical_len(logical)), logical);
        }
        assert_eq!(logical_len(0), 0);
        assert_eq!(logical_len(131_071), 0);
        assert_eq!(logical_len(HOLE_OFFSET + 1), BEFORE_HOLE);
        assert_eq!(logical_len(HOLE_OFFSET + HOLE_LEN + 1), BEFORE_HOLE + 1);
    }
}
