//! What the kernel says about this process (Linux).

use anyhow::{Context, Result};

/// Processor time of the main thread so far.
pub(crate) fn cpu_seconds() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").context("no /proc: run on Linux")?;
    let nanoseconds: f64 = text.split_whitespace().next().context("empty")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// The largest resident set so far, in bytes.
pub(crate) fn peak_memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1_024)
}
