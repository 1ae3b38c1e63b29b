//! The progress bar, and the flag that stops a long operation.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Remarks;
use crate::process;

/// A bar on stderr if that is a terminal; nothing otherwise.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that says what is being done. From now on SIGINT and SIGTERM stop the operation in good order.
    pub(crate) fn start(what: &'static str, remarks: Remarks) -> anyhow::Result<Self> {
        process::catch_signals()?;
        let shown = remarks == Remarks::Shown && std::io::stderr().is_terminal();
        let target = if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target).with_message(what);
        let style = ProgressStyle::with_template(
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        )?;
        bar.set_style(style);
        Ok(Self { bar })
    }

    /// The same for an operation that counts rows.
    pub(crate) fn start_rows(what: &'static str, remarks: Remarks) -> anyhow::Result<Self> {
        let progress = Self::start(what, remarks)?;
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} rows {eta}")?;
        progress.bar.set_style(style);
        Ok(progress)
    }

    /// What the library calls with the rows that are done, and all of them.
    pub(crate) fn rows_callback(&self) -> impl FnMut(u64, u64) -> bool + '_ {
        |done, total| {
            self.bar.set_length(total);
            self.bar.set_position(done);
            !process::interrupted()
        }
    }

    /// What the library calls: shows how far it is, and says whether to go on.
    pub(crate) fn callback(&self) -> impl FnMut(zqlite::Progress) -> bool + '_ {
        |progress| {
            self.bar.set_length(progress.total);
            self.bar.set_position(progress.done);
            !process::interrupted()
        }
    }

    /// The same for a rekey, which says once for whom it waits.
    pub(crate) fn rekey_callback(
        &self,
        remarks: Remarks,
    ) -> impl FnMut(zqlite::RekeyProgress<'_>) -> bool + '_ {
        let mut said = false;
        move |progress| {
            self.bar.set_length(progress.total);
            self.bar.set_position(progress.done);
            if let Some(holders) = progress.waiting_for.filter(|_| !said) {
                said = true;
                let holders = match holders {
                    [] => "a reader of the log".to_owned(),
                    [one] => format!("process {one}, which reads the log"),
                    many => {
                        let many: Vec<_> = many.iter().map(u32::to_string).collect();
                        format!("processes {}, which read the log", many.join(", "))
                    }
                };
                self.bar.suspend(|| {
                    remarks.note(&format!("all pages are sealed anew; waiting for {holders}"));
                });
            }
            !process::interrupted()
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
