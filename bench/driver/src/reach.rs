//! What the sealed database must reach: ratios within one run.

use serde::Serialize;

use crate::child::Measured;

/// One ratio: the rival's figure over ours, so that more is better.
struct Goal {
    step: &'static str,
    rival: &'static str,
    /// By the 99th percentile of single operations instead of the whole time.
    by_p99: bool,
    floor: f64,
    aim: f64,
}

const fn goal(step: &'static str, rival: &'static str, floor: f64, aim: f64) -> Goal {
    Goal {
        step,
        rival,
        by_p99: false,
        floor,
        aim,
    }
}

/// As many times as fast.
const GOALS: &[Goal] = &[
    goal("writers-512", "plain", 6.0, 8.0),
    goal("writers-512", "plain, DELETE", 25.0, 30.0),
    goal("commit", "plain", 1.0 / 1.15, 1.0 / 1.05),
    goal("scan", "plain", 1.0 / 1.05, 1.0),
    goal("select-miss", "plain", 1.0 / 1.2, 1.0 / 1.1),
    goal("select-hit", "plain", 1.0 / 1.2, 1.0 / 1.1),
    goal("select-default", "plain", 1.0, 1.0 / 0.8),
    goal("select-tenth", "plain", 1.0, 1.0 / 0.8),
    goal("insert-delete", "plain", 1.0 / 1.2, 1.0 / 1.1),
    goal("insert-many", "plain", 1.0 / 1.2, 1.0 / 1.1),
    goal("insert-one", "plain", 1.0 / 1.2, 1.0 / 1.1),
    goal("select-miss", "sqlcipher", 3.5, 4.0),
    goal("scan", "sqlcipher", 4.5, 6.0),
    goal("commit", "sqlcipher", 1.0, 1.1),
    goal("select-miss", "sqlite3mc", 1.0, 1.01),
    goal("select-hit", "sqlite3mc", 1.0, 1.01),
    goal("select-default", "sqlite3mc", 1.0, 1.01),
    goal("select-tenth", "sqlite3mc", 1.0, 1.01),
    goal("scan", "sqlite3mc", 1.0, 1.01),
    goal("scan-small", "sqlite3mc", 1.0, 1.01),
    goal("range", "sqlite3mc", 1.0, 1.01),
    Goal {
        step: "beside",
        rival: "plain",
        by_p99: true,
        floor: 1.0 / 1.2,
        aim: 1.0,
    },
];

/// What became of one goal.
#[derive(Serialize)]
pub(crate) struct Outcome {
    pub(crate) step: &'static str,
    pub(crate) rival: &'static str,
    pub(crate) by_p99: bool,
    /// How many times as fast as the rival.
    pub(crate) measured: f64,
    /// Not each figure has one.
    pub(crate) floor: Option<f64>,
    pub(crate) aim: Option<f64>,
    pub(crate) missed: bool,
}

impl Outcome {
    /// Compares a figure with its floor, if there is a floor and an aim.
    pub(crate) fn new(
        step: &'static str,
        rival: &'static str,
        measured: Option<f64>,
        reach: Option<(f64, f64)>,
    ) -> Self {
        let measured = measured.unwrap_or(f64::NAN);
        Self {
            step,
            rival,
            by_p99: false,
            measured,
            floor: reach.map(|(floor, _)| floor),
            aim: reach.map(|(_, aim)| aim),
            // Whatever is no number was not reached.
            missed: !measured.is_finite() || reach.is_some_and(|(floor, _)| measured < floor),
        }
    }
}

/// The goals of what was measured.
pub(crate) fn outcomes(measured: &[Measured]) -> Vec<Outcome> {
    let outcome = |goal: &Goal| {
        let of = measured.iter().find(|one| one.step.name == goal.step)?;
        let (ours, rival) = (of.first()?, of.of(goal.rival)?);
        let figure = |reports: &crate::child::Reports| {
            if goal.by_p99 {
                reports.median(|report| report.latency.map_or(f64::NAN, |latency| latency.p99))
            } else {
                reports.median(|report| report.seconds)
            }
        };
        let times = figure(rival) / figure(ours);
        Some(Outcome {
            by_p99: goal.by_p99,
            ..Outcome::new(
                goal.step,
                goal.rival,
                Some(times),
                Some((goal.floor, goal.aim)),
            )
        })
    };
    GOALS.iter().filter_map(outcome).collect()
}
