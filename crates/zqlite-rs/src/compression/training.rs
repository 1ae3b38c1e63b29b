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
    let Some(bytes) = dictionary::train(&samples.bytes, &samples.lens, options.dictionary_len)
    else {
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
        let (mut bytes, mut lens) = (Vec::with_capacity(self.bytes.len()), Vec::new());
        let mut rest = self.bytes.as_slice();
        for (at, len) in self.lens.iter().enumerate() {
            let (sample, after) = rest.split_at_checked(*len).unwrap_or_default();
            rest = after;
            if at % 2 == 0 {
                bytes.extend_from_slice(sample);
                lens.push(*len);
            }
        }
        (self.bytes, self.lens) = (bytes, lens);
        self.thinned += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
