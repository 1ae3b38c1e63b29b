//! Contenders in turn, who must find the same.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

/// What a contender found, folded into a number, and how long that took.
pub(crate) type Found = (u64, Duration);

/// Does the work once.
pub(crate) type Work<'a> = Box<dyn FnMut() -> Result<Found> + 'a>;

/// A round works as often as it takes to last this long: short work is measured as well as long.
const ROUND: Duration = Duration::from_millis(10);

/// Times the work.
pub(crate) fn timed(work: impl FnOnce() -> Result<u64>) -> Result<Found> {
    let started = Instant::now();
    let found = work()?;
    Ok((found, started.elapsed()))
}

/// One more found.
pub(crate) const fn fold(found: u64, next: u64) -> u64 {
    found.wrapping_mul(31).wrapping_add(next)
}

/// Nanoseconds that each takes for the work: medians of rounds in turn, and who begins goes round. Before the first
/// round all do the work once, untimed.
///
/// # Errors
/// If they do not find the same, then or in any round.
pub(crate) fn contest(what: &str, rounds: usize, mut sides: Vec<Work<'_>>) -> Result<Vec<f64>> {
    let mut answers = Vec::new();
    for side in &mut sides {
        answers.push(side()?.0);
    }
    ensure!(
        answers.iter().all(|answer| Some(answer) == answers.first()),
        "{what}: not the same was found: {answers:?}"
    );
    let mut times = vec![Vec::new(); sides.len()];
    for round in 0..rounds {
        for turn in 0..sides.len() {
            let at = (round + turn) % sides.len();
            let (mut sum, mut count) = (Duration::ZERO, 0.0);
            while sum < ROUND {
                let (found, time) = sides[at]()?;
                ensure!(
                    found == answers[at],
                    "{what}: something else was found in round {round}"
                );
                sum += time;
                count += 1.0;
            }
            times[at].push(sum.as_secs_f64() * 1e9 / count);
        }
    }
    Ok(times.into_iter().map(median).collect())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The figures of a story, for people and as JSON.
pub(crate) struct Sheet(Map<String, Value>);

impl Sheet {
    #[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
    pub(crate) fn new(title: &str) -> Self {
        println!(
            "{title:<44}{:>12}{:>12}{:>12}",
            "plain", "ours", "plain/ours"
        );
        Self(Map::new())
    }

    /// Two figures, of which less is better.
    #[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
    pub(crate) fn line(&mut self, key: &str, what: &str, plain: f64, ours: f64) {
        let ratio = plain / ours;
        println!("  {what:<42}{plain:>12.1}{ours:>12.1}{ratio:>12.2}");
        let figures = json!({ "plain": plain, "ours": ours, "ratio": ratio });
        self.0.insert(key.to_owned(), figures);
    }

    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.0)
    }
}
