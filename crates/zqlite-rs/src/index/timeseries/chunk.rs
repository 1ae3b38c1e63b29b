//! Points of one series in a chunk: their compressed form, and what is known of them without opening it.

use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress_into};

use super::super::fault::{Fault, Result};

/// The most points of a chunk: what is stored may claim no more.
pub(super) const MAX_POINTS: usize = 1 << 14;
/// The most bytes of one of its two parts: what cannot be compressed is stored with little more than 8 bytes each.
pub(super) const MAX_PART_LEN: usize = MAX_POINTS * 9;
/// How hard pco works: its own default, 8 of 12.
const LEVEL: usize = 8;

/// One value at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) time: i64,
    pub(super) value: f64,
}

/// What is known of some points of one series, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) count: i64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Not a number if infinities of both signs met.
    pub(super) sum: f64,
    pub(super) first: f64,
    pub(super) last: f64,
}

impl Summary {
    pub(super) const fn of(value: f64) -> Self {
        Self {
            count: 1,
            min: value,
            max: value,
            sum: value,
            first: value,
            last: value,
        }
    }

    /// Adds what comes later.
    pub(super) fn add(&mut self, later: &Self) {
        self.count = self.count.saturating_add(later.count);
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.sum += later.sum;
        self.last = later.last;
    }

    /// Of points that are not empty.
    pub(super) fn of_points(points: &[Point]) -> Option<Self> {
        let (first, rest) = points.split_first()?;
        let mut summary = Self::of(first.value);
        for point in rest {
            summary.add(&Self::of(point.value));
        }
        Some(summary)
    }

    /// The same numbers, bit for bit but for the sign of zero, which SQLite does not keep.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        self.count == other.count
            && same(self.min, other.min)
            && same(self.max, other.max)
            && same(self.sum, other.sum)
            && same(self.first, other.first)
            && same(self.last, other.last)
    }
}

/// The two parts of a chunk.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) times: Vec<u8>,
    pub(super) numbers: Vec<u8>,
}

/// Compresses points.
pub(super) fn encode(points: &[Point]) -> Result<Parts> {
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let times: Vec<i64> = points.iter().map(|point| point.time).collect();
    let numbers: Vec<f64> = points.iter().map(|point| point.value).collect();
    let failed = |error| Fault::usage(format!("points cannot be compressed: {error}"));
    Ok(Parts {
        times: simple_compress(&times, &config).map_err(failed)?,
        numbers: simple_compress(&numbers, &config).map_err(failed)?,
    })
}

/// Opens a chunk, which must hold exactly `count` points in the order of time, no value of which is not a number.
pub(super) fn decode(parts: &Parts, count: usize) -> Result<Vec<Point>> {
    let damaged = || Fault::corrupt("a chunk of a time series is damaged");
    if count == 0
        || count > MAX_POINTS
        || parts.times.len() > MAX_PART_LEN
        || parts.numbers.len() > MAX_PART_LEN
    {
        return Err(damaged());
    }
    // One more than there should be: what holds more is noticed.
    let (mut times, mut numbers) = (vec![0_i64; count + 1], vec![0_f64; count + 1]);
    for progress in [
        simple_decompress_into(&parts.times, &mut times),
        simple_decompress_into(&parts.numbers, &mut numbers),
    ] {
        match progress {
            Ok(progress) if progress.n_processed == count && progress.finished => {}
            _ => return Err(damaged()),
        }
    }
    let points: Vec<_> = times
        .iter()
        .zip(&numbers)
        .take(count)
        .map(|(&time, &value)| Point { time, value })
        .collect();
    let is_sound = points.is_sorted_by(|a, b| a.time < b.time)
        && points.iter().all(|point| !point.value.is_nan());
    if is_sound { Ok(points) } else { Err(damaged()) }
}

/// Two runs of points, each in the order of time, become one; where both have a time, the second counts.
pub(super) fn merge(old: Vec<Point>, new: &[Point]) -> Vec<Point> {
    if new.is_empty() {
        return old;
    }
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let mut new = new.iter().copied().peekable();
    for point in old {
        while let Some(earlier) = new.next_if(|next| next.time < point.time) {
            merged.push(earlier);
        }
        merged.push(new.next_if(|next| next.time == point.time).unwrap_or(point));
    }
    merged.extend(new);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: i64) -> Vec<Point> {
        (0..count)
            .map(|n| Point {
                time: n * 60 + n % 7,
                value: f64::from(i32::try_from(n * n % 1_000).unwrap()) / 8.0,
            })
            .collect()
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_bits() {
        let mut edges = points(3);
        edges[0].time = i64::MIN;
        edges[2].time = i64::MAX;
        edges[0].value = f64::NEG_INFINITY;
        edges[1].value = -0.0;
        edges[2].value = f64::MIN_POSITIVE / 4.0;
        for points in [points(1), points(2), points(1_024), points(5_000), edges] {
            let parts = encode(&points).unwrap();
            let decoded = decode(&parts, points.len()).unwrap();
            let bits = |points: &[Point]| -> Vec<_> {
                points.iter().map(|p| (p.time, p.value.to_bits())).collect()
            };
            assert_eq!(bits(&decoded), bits(&points));
        }
        let parts = encode(&points(1_024)).unwrap();
        assert!(parts.times.len() + parts.numbers.len() < 1_024 * 4);
    }

    #[test]
    fn a_chunk_that_holds_something_else_is_damage() {
        let right = points(100);
        let parts = |points: &[Point]| encode(points).unwrap();
        assert!(decode(&parts(&right), 100).is_ok());
        for count in [0, 1, 99, 101, MAX_POINTS + 1] {
            assert!(decode(&parts(&right), count).is_err(), "{count}");
        }
        let mut twice = right.clone();
        twice[7].time = twice[6].time;
        let mut no_number = right.clone();
        no_number[3].value = f64::NAN;
        for wrong in [twice, no_number] {
            assert!(decode(&parts(&wrong), 100).is_err());
        }
        let mut cut = 0;
        let whole = parts(&right);
        for len in 0..whole.numbers.len() {
            let parts = Parts {
                times: whole.times.clone(),
                numbers: whole.numbers[..len].to_vec(),
            };
            assert!(decode(&parts, 100).is_err(), "{len}");
            cut += 1;
        }
        assert!(cut > 50);
    }

    #[test]
    fn merging_keeps_the_order_and_the_newer_value() {
        let run = |times: &[i64], value: f64| -> Vec<Point> {
            times.iter().map(|&time| Point { time, value }).collect()
        };
        let merged = merge(run(&[1, 3, 5], 0.0), &run(&[0, 3, 4, 9], 1.0));
        let times: Vec<_> = merged
            .iter()
            .map(|point| (point.time, point.value))
            .collect();
        assert_eq!(
            times,
            [(0, 1.0), (1, 0.0), (3, 1.0), (4, 1.0), (5, 0.0), (9, 1.0)]
        );
    }
}
