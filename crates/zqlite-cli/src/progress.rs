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

    /// What the library calls: shows how far it is, and says whether to go on.
    pub(crate) fn callback(&self) -> impl FnMut(zqlite::Progress) -> bool + '_ {
        |progress| {
            self.bar.set_length(progress.total);
            self.bar.set_position(progress.done);
            !process::interrupted()
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
