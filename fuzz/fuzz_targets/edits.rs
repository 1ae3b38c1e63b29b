//! What the targets share: the input is a list of edits to something valid, so that the fuzzer starts where
//! the interesting verdicts are.

/// Applies edits of four bytes each: a position (two bytes), a kind, a value.
pub fn apply(mut edits: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = to.to_vec();
    while let [at_low, at_high, kind, value, rest @ ..] = edits {
        edits = rest;
        let at = usize::from(u16::from_le_bytes([*at_low, *at_high]));
        match kind % 4 {
            0 | 1 if !out.is_empty() => {
                let at = at % out.len();
                if kind % 4 == 0 {
                    out[at] ^= value
                } else {
                    out[at] = *value
                }
            }
            2 => out.truncate(at.max(1)),
            _ => out.push(*value),
        }
    }
    out
}
