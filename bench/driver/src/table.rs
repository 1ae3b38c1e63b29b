//! The table for people.

use crate::child::Measured;
use crate::plan::{Limit, MEMORY_LIMIT, Rivals};

/// Prints one line for each workload; returns how many limits are exceeded.
pub(crate) fn print(measured: &[Measured], rivals: Rivals, rows: u32, rounds: usize) -> usize {
    let [first, second] = rivals.names;
    println!(
        "{rows} rows, median of {rounds} rounds; time for one operation; ratio: {second} over {first}"
    );
    println!(
        "{:<52}{:>11}{:>11}{:>8}{:>14}{:>8}{:>10}{:>10}",
        "", first, second, "ratio", "low-high", "cpu", "limit", "memory"
    );
    let mut exceeded = 0;
    for one in measured {
        let (plain, sealed) = one.medians(|report| report.seconds);
        let (plain_cpu, sealed_cpu) = one.medians(|report| report.cpu_seconds);
        let (low, high) = one.spread();
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let operations = one.operations() as f64;
        #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^53")]
        let (plain_memory, sealed_memory) = one.medians(|report| report.peak_memory as f64);
        #[expect(clippy::cast_precision_loss, reason = "a constant far below 2^53")]
        let memory_is_over = sealed_memory - plain_memory > MEMORY_LIMIT as f64;
        let (limit, time_is_over) = match one.step.limit_for(rivals) {
            Limit::None => continue,
            Limit::Ratio(limit) => (format!("{limit:.2}"), sealed / plain > limit),
            Limit::Milliseconds(limit) => {
                (format!("{limit} ms"), sealed / operations * 1e3 > limit)
            }
        };
        exceeded += usize::from(time_is_over) + usize::from(memory_is_over);
        println!(
            "{:<52}{:>11}{:>11}{:>8.2}{:>14}{:>8.2}{:>10}{:>10}{}",
            one.step.what,
            time(plain / operations),
            time(sealed / operations),
            sealed / plain,
            format!("{low:.2}-{high:.2}"),
            sealed_cpu / plain_cpu,
            limit,
            format!(
                "{:+.1} MiB",
                (sealed_memory - plain_memory) / f64::from(1 << 20)
            ),
            if time_is_over || memory_is_over {
                "  OVER"
            } else {
                ""
            },
        );
    }
    println!("memory: largest resident set of the process over {first}'s, at most 8 MiB");
    exceeded
}

fn time(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{:.2} us", seconds * 1e6)
    } else {
        format!("{:.2} ms", seconds * 1e3)
    }
}
