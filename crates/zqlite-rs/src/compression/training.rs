//! What a dictionary is trained on: values from the whole of a table.

use rusqlite::Connection;

use super::catalog;
use super::column::Options;
use super::dictionary::{self, Dictionary, MAX_SAMPLE_LEN, SAMPLES_LEN};
use super::moving::ROWS_A_REPORT;
use super::table::{Subject, quoted};
use crate::Error;

/// Trains a dictionary on the values that an expression has in a table, and adds it to the catalog. `None` if there
/// is too little to learn from. `goes_on` is asked now and then.
pub(super) fn train(
    connection: &Connection,
    own: Subject<'_>,
    table: &str,
    expression: &str,
    options: &Options,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Dictionary>, Error> {
    let mut samples = Samples::default();
    if options.dictionary_len > 0 {
        let mut statement = connection.prepare(&format!(
            "SELECT {expression} FROM main.{} WHERE typeof({}) IN ('text', 'blob')",
            quoted(table),
            quoted(own.column)
        ))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            samples.add(row.get_ref(0)?.as_bytes().unwrap_or_default());
            if samples.seen.is_multiple_of(ROWS_A_REPORT) && !goes_on() {
                return Err(Error::Interrupted);
            }
        }
    }
    let Some(bytes) = samples.best_dictionary(options, goes_on)? else {
        return Ok(None);
    };
    let dictionary = Dictionary {
        table: own.table.to_owned(),
        column: own.column.to_owned(),
        version: catalog::last_version(connection, own.table, own.column)? + 1,
        level: options.level,
        bytes,
    };
    catalog::add_dictionary(connection, &dictionary)?;
    Ok(Some(dictionary))
}

/// Shorter dictionaries that are tried where there is enough for a long one. Longer is not better: in a long one, zstd finds less
/// of what it holds, and names it by longer distances.
const SHORTER: [usize; 3] = [16 << 10, 32 << 10, 64 << 10];
/// One of so many samples is kept back, to see how well a dictionary does on what it was not trained on.
const KEPT_BACK: usize = 16;

/// Values from the whole of a table, evenly, without knowing how many there are: when there are too many, every second
/// one goes, and from then on only half as many are taken.
#[derive(Default)]
struct Samples {
    bytes: Vec<u8>,
    lens: Vec<usize>,
    seen: u64,
    /// One of 2 to this power is taken.
    thinned: u32,
}

impl Samples {
    fn add(&mut self, value: &[u8]) {
        let is_taken = self.seen.trailing_zeros() >= self.thinned;
        self.seen += 1;
        if !is_taken || value.is_empty() {
            return;
        }
        let sample = value.get(..MAX_SAMPLE_LEN).unwrap_or(value);
        self.bytes.extend_from_slice(sample);
        self.lens.push(sample.len());
        if self.bytes.len() > SAMPLES_LEN {
            self.thin();
        }
    }

    fn thin(&mut self) {
        let mut every_second = self.divide(2).0;
        every_second.seen = self.seen;
        every_second.thinned = self.thinned + 1;
        *self = every_second;
    }

    /// Each `step`th sample, and the others.
    fn divide(&self, step: usize) -> (Self, Self) {
        let (mut each, mut others) = (Self::default(), Self::default());
        for (at, sample) in self.iter().enumerate() {
            let part = if at % step == 0 {
                &mut each
            } else {
                &mut others
            };
            part.bytes.extend_from_slice(sample);
            part.lens.push(sample.len());
        }
        (each, others)
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        self.lens.iter().map(move |len| {
            let (sample, after) = rest.split_at_checked(*len).unwrap_or_default();
            rest = after;
            sample
        })
    }

    /// Trains a dictionary of the length that saves most, up to that of the options.
    fn best_dictionary(
        &self,
        options: &Options,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let longest = dictionary::longest(self.bytes.len(), options.dictionary_len);
        let shorter: Vec<_> = SHORTER.into_iter().filter(|&len| len < longest).collect();
        if shorter.is_empty() {
            return Ok(dictionary::train(&self.bytes, &self.lens, longest));
        }
        let (kept_back, rest) = self.divide(KEPT_BACK);
        let mut best = None;
        for len in shorter.into_iter().chain([longest]) {
            if !goes_on() {
                return Err(Error::Interrupted);
            }
            if let Some(bytes) = dictionary::train(&rest.bytes, &rest.lens, len)
                && let Ok(size) = dictionary::size_with(&bytes, options.level, kept_back.iter())
                && best.as_ref().is_none_or(|(least, _)| size < *least)
            {
                best = Some((size, bytes));
            }
        }
        Ok(best.map(|(_, bytes)| bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_divided_in_their_order() {
        let mut samples = Samples::default();
        for n in 0..10_u8 {
            samples.add(&vec![n; usize::from(n) + 1]);
        }
        let (each, others) = samples.divide(4);
        let firsts = |part: &Samples| -> Vec<u8> { part.iter().map(|sample| sample[0]).collect() };
        assert_eq!(firsts(&each), [0, 4, 8]);
        assert_eq!(firsts(&others), [1, 2, 3, 5, 6, 7, 9]);
        assert!(
            each.iter()
                .all(|sample| sample.len() == usize::from(sample[0]) + 1)
        );
    }

    #[test]
    fn the_length_of_a_dictionary_is_the_one_that_saves_most() {
        // Of words that come again, as many as this.
        let samples = |words: u64| {
            let mut samples = Samples::default();
            let mut seed = 1_u64;
            for _ in 0..8_000 {
                let mut value = Vec::new();
                for _ in 0..16 {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let word = (seed >> 33) % words;
                    for part in 1..4 {
                        let mixed = (word + 1)
                            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                            .rotate_left(part * 20);
                        value.extend_from_slice(
                            &mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes(),
                        );
                    }
                }
                samples.add(&value);
            }
            samples
        };
        let options = Options::default();
        let len = |words| {
            let best = samples(words).best_dictionary(&options, &mut || true);
            best.unwrap().unwrap().len()
        };
        let (few, many) = (len(100), len(4_000));
        assert!(few < many, "{few} {many}");
        let mut asked = 0;
        let stopped = samples(100).best_dictionary(&options, &mut || {
            asked += 1;
            asked < 3
        });
        assert!(matches!(stopped, Err(Error::Interrupted)));
    }

    #[test]
    fn samples_stay_within_the_limit_and_come_from_everywhere() {
        let mut samples = Samples::default();
        let value = |n: u32| n.to_le_bytes().repeat(2_500);
        let count = 10_000_u32;
        for n in 0..count {
            samples.add(&value(n));
            assert!(samples.bytes.len() <= SAMPLES_LEN);
        }
        assert_eq!(samples.lens.iter().sum::<usize>(), samples.bytes.len());
        assert!(samples.bytes.len() * 3 > SAMPLES_LEN);
        let taken: Vec<_> = samples
            .bytes
            .chunks_exact(10_000)
            .map(|sample| u32::from_le_bytes(sample[..4].try_into().unwrap()))
            .collect();
        let step = 1 << samples.thinned;
        assert!(taken.iter().all(|n| n % step == 0) && taken.is_sorted());
        assert!(taken.last().unwrap() + step >= count);
    }
}
