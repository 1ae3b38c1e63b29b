//! The files of a database.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};

/// Takes away a database with all that belongs to it, if it is there.
///
/// # Errors
/// The operating system's.
pub fn remove(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut path = path.to_owned().into_os_string();
        path.push(suffix);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads the file once, so that the operating system has it in memory.
pub(crate) fn warm(path: &Path) -> Result<()> {
    let mut file =
        File::open(path).with_context(|| format!("{}: run the insert first", path.display()))?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}
