//! Points of time series: what twenty machines report every fifteen seconds, the same each time.

use crate::numbers::Numbers;

pub(crate) const SERIES: i64 = 20;
/// Seconds between two points of a series; they come up to a second late.
pub(crate) const STEP: i64 = 15;
const START: i64 = 1_700_006_400;

#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) series: i64,
    pub(crate) time: i64,
    pub(crate) value: f64,
}

/// Per cent with two places after the point, which go up and down; all machines at one time, then at the next.
pub(crate) fn points(each: usize) -> Vec<Point> {
    let mut numbers = Numbers::new(6);
    let mut levels: Vec<i32> = (0..SERIES).map(|_| 5_000).collect();
    let mut points = Vec::new();
    for time in (START..).step_by(15).take(each) {
        for (series, level) in (0..).zip(&mut levels) {
            let change = i32::try_from(numbers.below(201)).unwrap_or(0) - 100;
            *level = (*level + change).clamp(0, 10_000);
            let late = i64::from(numbers.below(10) == 0);
            points.push(Point {
                series,
                time: time + late,
                value: f64::from(*level) / 100.0,
            });
        }
    }
    points
}

/// Beginnings of ranges of so many points in so many of each: a series and a time.
pub(crate) fn ranges(each: usize, length: usize, count: usize) -> Vec<(i64, i64)> {
    let mut numbers = Numbers::new(7);
    (0..count)
        .map(|_| {
            let series = numbers.below(usize::try_from(SERIES).unwrap_or(1));
            let at = numbers.below(each.saturating_sub(length).max(1));
            let number = |value| i64::try_from(value).unwrap_or(0);
            (number(series), START + number(at) * STEP)
        })
        .collect()
}
