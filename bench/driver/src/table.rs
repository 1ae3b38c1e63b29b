//! The tables for people.

use crate::child::{Measured, Reports};
use crate::reach::Outcome;

/// One line for each workload and contender.
pub(crate) fn print(measured: &[Measured], rows: u32, rounds: usize) {
    println!(
        "{rows} rows, medians of {rounds} rounds; time of one operation; ratio: the first over this one"
    );
    println!(
        "{:<24}{:>12}{:>8}{:>14}{:>8}{:>11}{:>10}{:>10}",
        "", "time", "ratio", "low-high", "cpu", "memory", "p50", "p99"
    );
    for one in measured {
        println!("{}: {}", one.step.name, one.step.what);
        for reports in &one.reports {
            line(one, reports);
        }
    }
    println!("memory: largest resident set of the process");
}

fn line(one: &Measured, reports: &Reports) {
    let Some(first) = one.first() else { return };
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    let operations = reports.median(|report| report.operations as f64);
    #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^53")]
    let memory = reports.median(|report| report.peak_memory as f64);
    let seconds = reports.median(|report| report.seconds);
    let is_first = first.label() == reports.label();
    let (low, high) = one.spread(reports);
    let ratio = |ours: f64, rival: f64| {
        if is_first {
            String::new()
        } else {
            format!("{:.2}", ours / rival)
        }
    };
    let latency = |of: fn(&crate::child::Latency) -> f64| {
        let median = reports.median(|report| report.latency.as_ref().map_or(f64::NAN, of));
        if median.is_nan() {
            String::new()
        } else {
            time(median)
        }
    };
    println!(
        "  {:<22}{:>12}{:>8}{:>14}{:>8}{:>11}{:>10}{:>10}",
        reports.label(),
        time(seconds / operations),
        ratio(first.median(|report| report.seconds), seconds),
        if is_first {
            String::new()
        } else {
            format!("{low:.2}-{high:.2}")
        },
        ratio(
            first.median(|report| report.cpu_seconds),
            reports.median(|report| report.cpu_seconds)
        ),
        format!("{:.1} MiB", memory / f64::from(1 << 20)),
        latency(|latency| latency.p50),
        latency(|latency| latency.p99),
    );
}

/// What must be reached, and what was; how many floors were missed.
pub(crate) fn print_outcomes(outcomes: &[Outcome]) -> usize {
    if outcomes.is_empty() {
        return 0;
    }
    println!("\nhow many times as fast as the rival; for compression, the share that is saved");
    println!(
        "{:<18}{:<26}{:>10}{:>8}{:>8}",
        "", "", "measured", "floor", "aim"
    );
    for outcome in outcomes {
        let verdict = if outcome.missed {
            "MISSED"
        } else {
            match outcome.aim {
                Some(aim) if outcome.measured >= aim => "aim",
                Some(_) => "floor",
                None => "",
            }
        };
        let shown = |of: Option<f64>| of.map_or_else(String::new, |of| format!("{of:.2}"));
        println!(
            "{:<18}{:<26}{:>10.2}{:>8}{:>8}  {verdict}",
            outcome.step,
            format!(
                "{}{}",
                outcome.rival,
                if outcome.by_p99 { ", p99" } else { "" }
            ),
            outcome.measured,
            shown(outcome.floor),
            shown(outcome.aim),
        );
    }
    outcomes.iter().filter(|outcome| outcome.missed).count()
}

fn time(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{:.2} us", seconds * 1e6)
    } else {
        format!("{:.2} ms", seconds * 1e3)
    }
}
