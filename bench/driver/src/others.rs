//! Programs that measure one thing of their own: they compare, and say the ratio.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::reach::Outcome;

/// A program, how it is asked for JSON on stdout, and what is taken from that.
struct Other {
    name: &'static str,
    program: &'static str,
    args: &'static [&'static str],
    goals: &'static [Goal],
}

struct Goal {
    rival: &'static str,
    /// Where the figure stands in the JSON.
    at: &'static str,
    /// The floor and the aim, if there are any.
    reach: Option<(f64, f64)>,
}

const fn goal(rival: &'static str, at: &'static str, reach: Option<(f64, f64)>) -> Goal {
    Goal { rival, at, reach }
}

const OTHERS: &[Other] = &[
    Other {
        name: "prefix-match",
        program: "bench-index",
        args: &["--only", "ipv4,ipv6", "--json", "/dev/stdout"],
        goals: &[
            goal("plain, through SQL", "/ipv4/index/ratio", Some((1.5, 2.0))),
            goal(
                "plain, the library",
                "/ipv4/library/ratio",
                Some((20.0, 30.0)),
            ),
            goal("IPv6, through SQL", "/ipv6/index/ratio", None),
            goal("IPv6, the library", "/ipv6/library/ratio", None),
        ],
    },
    Other {
        name: "bitmap",
        program: "bench-index",
        args: &["--only", "bitmap", "--json", "/dev/stdout"],
        goals: &[
            goal("count, AND of 2", "/bitmap/count_two/ratio", None),
            goal("count, AND NOT", "/bitmap/count_without/ratio", None),
            goal("count, OR", "/bitmap/count_or/ratio", None),
            goal("rowids, AND of 2", "/bitmap/rowids_two/ratio", None),
            goal("rowids, OR", "/bitmap/rowids_or/ratio", None),
            goal("changed, AND of 2", "/bitmap/fresh_two/ratio", None),
            goal("insert", "/bitmap/insert/ratio", None),
        ],
    },
    Other {
        name: "time-series",
        program: "bench-index",
        args: &["--only", "time-series", "--json", "/dev/stdout"],
        goals: &[
            goal("append", "/time_series/append/ratio", None),
            goal("size", "/time_series/size/ratio", None),
            goal("range of 100", "/time_series/range_100/ratio", None),
            goal("range of 5,000", "/time_series/range_5000/ratio", None),
            goal("hours", "/time_series/hours/ratio", None),
            goal("days", "/time_series/days/ratio", None),
        ],
    },
    Other {
        name: "compression",
        program: "bench-compression",
        args: &["--json"],
        goals: &[goal(
            "uncompressed, % saved",
            "/saved_percent",
            Some((78.0, 83.0)),
        )],
    },
];

/// Their names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    OTHERS.iter().map(|other| other.name)
}

/// Runs those of these names, or all; a program that is not there is left out.
pub(crate) fn run(programs: &Path, names: &[String]) -> Result<(Vec<Outcome>, Vec<Value>)> {
    let mut outcomes = Vec::new();
    let mut figures = Vec::new();
    for other in OTHERS {
        let program = programs.join(other.program);
        let wanted = names.is_empty() || names.iter().any(|name| name == other.name);
        if !wanted || !program.exists() {
            continue;
        }
        let output = Command::new(&program)
            .args(other.args)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| program.display().to_string())?;
        ensure!(
            output.status.success(),
            "{} failed: {}",
            other.program,
            output.status
        );
        // A table for people may stand before the JSON.
        let text = String::from_utf8_lossy(&output.stdout);
        let json = text.find('{').and_then(|start| text.get(start..));
        let json: Value = serde_json::from_str(json.unwrap_or_default())
            .with_context(|| format!("{} reported nonsense", other.program))?;
        outcomes.extend(other.goals.iter().map(|goal| {
            let measured = json.pointer(goal.at).and_then(Value::as_f64);
            Outcome::new(other.name, goal.rival, measured, goal.reach)
        }));
        figures.push(json);
    }
    Ok((outcomes, figures))
}
