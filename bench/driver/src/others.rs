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
    floor: f64,
    aim: f64,
}

const OTHERS: &[Other] = &[
    Other {
        name: "prefix-match",
        program: "bench-index",
        args: &["--json", "/dev/stdout"],
        goals: &[
            Goal {
                rival: "plain, through SQL",
                at: "/ratios/index",
                floor: 1.5,
                aim: 2.0,
            },
            Goal {
                rival: "plain, the library",
                at: "/ratios/library",
                floor: 20.0,
                aim: 30.0,
            },
        ],
    },
    Other {
        name: "compression",
        program: "bench-compression",
        args: &["--json"],
        goals: &[Goal {
            rival: "uncompressed, % saved",
            at: "/saved_percent",
            floor: 78.0,
            aim: 83.0,
        }],
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
            Outcome::new(other.name, goal.rival, measured, goal.floor, goal.aim)
        }));
        figures.push(json);
    }
    Ok((outcomes, figures))
}
