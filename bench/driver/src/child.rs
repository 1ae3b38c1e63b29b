//! Runs a workload in a process of its own and keeps what it reports.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::plan::{Contender, Step};

/// The line that a child prints.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) operations: u64,
    checksum: u64,
    pub(crate) peak_memory: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
}

/// Times of single operations, in seconds.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// How to run a workload.
pub(crate) struct Children<'a> {
    /// Where the programs are: beside this one.
    programs: PathBuf,
    folder: &'a Path,
    rows: u32,
    extension: Option<&'a Path>,
    python: &'a Path,
}

impl<'a> Children<'a> {
    pub(crate) fn new(
        folder: &'a Path,
        rows: u32,
        extension: Option<&'a Path>,
        python: &'a Path,
    ) -> Result<Self> {
        let this = std::env::current_exe()?;
        Ok(Self {
            programs: this.parent().context("no folder")?.to_owned(),
            folder,
            rows,
            extension,
            python,
        })
    }

    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    /// The program of an engine, with the arguments that come before all others.
    fn command(&self, engine: &str) -> Result<Command> {
        let there = |name: &str| -> Result<PathBuf> {
            let path = self.programs.join(name);
            ensure!(
                path.exists(),
                "{} is missing: `./run` builds it",
                path.display()
            );
            Ok(path)
        };
        Ok(match engine {
            "plain" | "sealed" => Command::new(there("bench-engine")?),
            "extension" => {
                let mut command = Command::new(there("bench-engine")?);
                let extension = self.extension.context("--extension is missing")?;
                command.arg("--extension").arg(extension);
                command
            }
            "sqlcipher" => Command::new(there("bench-sqlcipher")?),
            _ => {
                let mut command = Command::new(self.python);
                command
                    .arg("sqlite3mc/run.py")
                    .arg(there("libbench_sqlite3mc.so")?);
                command
            }
        })
    }

    pub(crate) fn run(&self, contender: &Contender) -> Result<Report> {
        let mut command = self.command(contender.engine)?;
        let output = command
            .args([contender.engine, contender.workload])
            .arg(self.folder)
            .args(["--rows", &self.rows.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("{}", command.get_program().display()))?;
        if !output.status.success() {
            bail!(
                "{} failed at {}: {}",
                contender.label,
                contender.workload,
                output.status
            );
        }
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "{} reported nonsense about {}",
                contender.label, contender.workload
            )
        })
    }
}

/// All rounds of one contender.
#[derive(Serialize)]
pub(crate) struct Reports {
    #[serde(flatten)]
    contender: Contender,
    rounds: Vec<Report>,
}

impl Reports {
    pub(crate) fn median(&self, of: impl Fn(&Report) -> f64) -> f64 {
        let mut values: Vec<f64> = self.rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub(crate) const fn label(&self) -> &'static str {
        self.contender.label
    }
}

/// All rounds of one step.
#[derive(Serialize)]
pub(crate) struct Measured {
    #[serde(flatten)]
    pub(crate) step: Step,
    pub(crate) reports: Vec<Reports>,
}

impl Measured {
    pub(crate) fn new(step: &Step) -> Self {
        let reports = |&contender: &Contender| Reports {
            contender,
            rounds: Vec::new(),
        };
        Self {
            reports: step.contenders.iter().map(reports).collect(),
            step: step.clone(),
        }
    }

    pub(crate) fn add(&mut self, contender: usize, report: Report) {
        if let Some(reports) = self.reports.get_mut(contender) {
            reports.rounds.push(report);
        }
    }

    /// All reports of all engines so far name the same work.
    pub(crate) fn check_same_work(&self) -> Result<()> {
        let mut all = self.reports.iter().flat_map(|reports| &reports.rounds);
        let work = |report: &Report| (report.operations, report.checksum);
        let first = all.next().map(work);
        ensure!(
            all.all(|other| Some(work(other)) == first),
            "the engines did not do the same work at {}",
            self.step.name
        );
        Ok(())
    }

    /// The one whom the others are compared with.
    pub(crate) fn first(&self) -> Option<&Reports> {
        self.reports.first()
    }

    pub(crate) fn of(&self, label: &str) -> Option<&Reports> {
        self.reports.iter().find(|reports| reports.label() == label)
    }

    /// The ratios of the rounds, ours over the rival's time: lowest and highest.
    pub(crate) fn spread(&self, rival: &Reports) -> (f64, f64) {
        let ours = self.first().map_or(&[][..], |first| &first.rounds);
        let ratios = ours.iter().zip(&rival.rounds);
        ratios.fold((f64::MAX, 0.0), |(low, high), (ours, rival)| {
            let ratio = ours.seconds / rival.seconds;
            (low.min(ratio), high.max(ratio))
        })
    }
}
