//! Runs a workload in a process of its own and keeps what it reports.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::plan::Step;

/// The line that a child prints.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) operations: u64,
    checksum: u64,
    pub(crate) peak_memory: u64,
}

/// How to run a workload.
pub(crate) struct Child<'a> {
    program: PathBuf,
    folder: &'a Path,
    rows: u32,
    extension: Option<&'a Path>,
}

impl<'a> Child<'a> {
    /// The program of the engines stands beside this one.
    pub(crate) fn find(folder: &'a Path, rows: u32, extension: Option<&'a Path>) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("bench-engine");
        ensure!(
            program.exists(),
            "{} is missing: build the whole workspace",
            program.display()
        );
        Ok(Self {
            program,
            folder,
            rows,
            extension,
        })
    }

    pub(crate) fn run(&self, engine: &str, workload: &str) -> Result<Report> {
        let output = Command::new(&self.program)
            .args([engine, workload])
            .arg(self.folder)
            .args(["--rows", &self.rows.to_string()])
            .args(
                self.extension
                    .iter()
                    .flat_map(|path| [OsStr::new("--extension"), path.as_os_str()]),
            )
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("{}", self.program.display()))?;
        if !output.status.success() {
            bail!("{engine} failed at {workload}: {}", output.status);
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{engine} reported nonsense about {workload}"))
    }
}

/// All rounds of one workload.
#[derive(Serialize)]
pub(crate) struct Measured {
    #[serde(flatten)]
    pub(crate) step: &'static Step,
    first: Vec<Report>,
    second: Vec<Report>,
}

impl Measured {
    pub(crate) const fn new(step: &'static Step) -> Self {
        Self {
            step,
            first: Vec::new(),
            second: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, is_second: bool, report: Report) {
        if is_second {
            self.second.push(report);
        } else {
            self.first.push(report);
        }
    }

    /// All reports of all engines so far name the same work.
    pub(crate) fn check_same_work(&self) -> Result<()> {
        let work = |report: &Report| (report.operations, report.checksum);
        let mut all = self.first.iter().chain(&self.second).map(work);
        let first = all.next();
        ensure!(
            all.all(|other| Some(other) == first),
            "the engines did not do the same work at {}",
            self.step.name
        );
        Ok(())
    }

    /// Medians of both engines.
    pub(crate) fn medians(&self, of: impl Fn(&Report) -> f64) -> (f64, f64) {
        let median = |reports: &[Report]| {
            let mut values: Vec<f64> = reports.iter().map(&of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        (median(&self.first), median(&self.second))
    }

    /// The ratios of the rounds: lowest and highest.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let ratios = self.first.iter().zip(&self.second);
        ratios.fold((f64::MAX, 0.0), |(low, high), (first, second)| {
            let ratio = second.seconds / first.seconds;
            (low.min(ratio), high.max(ratio))
        })
    }

    /// How many operations one report covers.
    pub(crate) fn operations(&self) -> u64 {
        self.second.first().map_or(1, |report| report.operations)
    }
}
