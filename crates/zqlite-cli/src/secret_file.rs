//! A secret key goes into a new file of its own, or to stdout.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};
use zeroize::Zeroizing;
use zqlite::key_file::is_exposed;

use crate::exit::Fault;
use crate::output::{self, Remarks};

/// A key pair as text.
pub(crate) struct KeyPairText {
    /// What the public half is called.
    pub(crate) public_name: &'static str,
    pub(crate) public: String,
    pub(crate) secret: Zeroizing<String>,
}

impl KeyPairText {
    /// Writes the secret key to a file that does not exist yet, or to stdout; the public key is the last
    /// line of stdout.
    pub(crate) fn write(&self, path: Option<&Path>, remarks: Remarks) -> Result<()> {
        let content = Zeroizing::new(format!(
            "# {}: {}\n{}\n",
            self.public_name,
            self.public,
            self.secret.as_str()
        ));
        match path.filter(|path| *path != Path::new("-")) {
            Some(path) => {
                create(path, content.as_bytes())?;
                output::print_line(&self.public)?;
            }
            None => {
                if is_stdout_exposed() {
                    remarks.warn(
                        "stdout is a file that others can read, and it gets the secret key: \
                         run chmod 600 on it, or name a new file with -o",
                    );
                }
                // Not through a buffer that is not wiped.
                let mut out = std::io::stdout().lock();
                out.write_all(content.as_bytes())?;
                writeln!(out, "{}", self.public)?;
                out.flush()?;
            }
        }
        Ok(())
    }
}

/// Creates a file of mode 0600 and makes it durable: a key that seals data must not get lost.
pub(crate) fn create(path: &Path, content: &[u8]) -> Result<()> {
    let name = || path.display().to_string();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow::Error::from(
            Fault::new(format!(
                "{}: exists already, and a key is never overwritten",
                name()
            ))
            .hint("choose another name, or move the old key away"),
        ),
        _ => anyhow::Error::from(error).context(name()),
    })?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            sync_folder(parent.unwrap_or(Path::new(".")))
        });
    if written.is_err() {
        // Half a key is worse than none.
        fs::remove_file(path).ok();
    }
    written.with_context(name)
}

/// Whether stdout is a file that group or others may read.
#[cfg(unix)]
fn is_stdout_exposed() -> bool {
    use std::os::fd::AsFd;
    std::io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|fd| File::from(fd).metadata())
        .is_ok_and(|metadata| is_exposed(&metadata))
}

#[cfg(not(unix))]
fn is_stdout_exposed() -> bool {
    false
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}
