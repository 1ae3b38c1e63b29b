//! A file that appears under its name only when it is complete.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::inspect::beside;

/// What SQLite, or a rekey, may leave beside a database.
const COMPANIONS: [&str; 4] = ["-journal", "-wal", "-shm", "-rekey"];

/// The unfinished file: `.NAME.zqlite-tmp-<random>`, locked as long as somebody works on it.
pub(crate) struct Target {
    path: PathBuf,
    unfinished: PathBuf,
    /// Keeps the lock; closed after SQLite's connections to the same file.
    file: Option<File>,
    force: bool,
    removed_leftovers: usize,
    /// Whether an unfinished file is left for the next run.
    kept: bool,
}

impl Target {
    /// Makes an empty unfinished file (mode 0600) beside the target, and removes what interrupted runs left.
    pub(crate) fn create(path: &Path, force: bool) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let (folder, name) = place(path, force)?;
        let prefix = prefix(name);
        let removed_leftovers = remove_leftovers(folder, &prefix).map_err(io)?;
        let (unfinished, file) = loop {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|error| io(error.into()))?;
            let mut unfinished = prefix.clone();
            unfinished.push(format!("{:016x}", u64::from_be_bytes(random)));
            let unfinished = folder.join(unfinished);
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(&unfinished).map_err(io)?;
            file.lock().map_err(io)?;
            // Before the lock was taken, another run may have seen a leftover, and removed it.
            if is_same_file(&file, &unfinished) {
                break (unfinished, file);
            }
        };
        Ok(Self {
            path: path.to_owned(),
            unfinished,
            file: Some(file),
            force,
            removed_leftovers,
            kept: false,
        })
    }

    /// Makes an unfinished file whose name says of what it is made, or takes over the one that an interrupted run left;
    /// [`Target::keep`] leaves it for the next. `tag`: letters and digits.
    pub(crate) fn resume(path: &Path, force: bool, tag: &str) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let (folder, name) = place(path, force)?;
        let mut unfinished = prefix(name);
        unfinished.push(tag);
        let unfinished = folder.join(unfinished);
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = match options.clone().create_new(true).open(&unfinished) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                // Whoever plants a pipe or a link under such a name shall not make us wait, or follow.
                let is_file = std::fs::symlink_metadata(&unfinished)
                    .map_err(io)?
                    .is_file();
                if !is_file {
                    return Err(Error::NotAFile { path: unfinished });
                }
                options.open(&unfinished).map_err(io)?
            }
            opened => opened.map_err(io)?,
        };
        if file.try_lock().is_err() || !is_same_file(&file, &unfinished) {
            return Err(Error::Busy {
                path: path.to_owned(),
                what: "another process is making this backup",
            });
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, PermissionsExt};
            if file.metadata().map_err(io)?.nlink() != 1 {
                return Err(Error::NotAFile { path: unfinished });
            }
            let secret = std::fs::Permissions::from_mode(0o600);
            file.set_permissions(secret).map_err(io)?;
        }
        Ok(Self {
            path: path.to_owned(),
            unfinished,
            file: Some(file),
            force,
            removed_leftovers: 0,
            kept: false,
        })
    }

    /// The file under the unfinished name.
    pub(crate) fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// Leaves the unfinished file for the next run.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }

    /// The unfinished file.
    pub(crate) fn unfinished(&self) -> &Path {
        &self.unfinished
    }

    pub(crate) const fn removed_leftovers(&self) -> usize {
        self.removed_leftovers
    }

    /// Syncs the file and gives it its name. All SQLite connections to it are closed.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let io = |source| Error::Io {
            path: self.path.clone(),
            source,
        };
        // The lock is kept until the file has its name.
        let file = self.file.take();
        if let Some(file) = &file {
            file.sync_all().map_err(io)?;
        }
        if self.force {
            // A WAL or journal of the file that is replaced says nothing about the new one.
            for suffix in COMPANIONS {
                remove_if_present(&beside(&self.path, suffix)).map_err(io)?;
            }
            std::fs::rename(&self.unfinished, &self.path).map_err(io)?;
        } else {
            match std::fs::hard_link(&self.unfinished, &self.path) {
                Ok(()) => remove_if_present(&self.unfinished).map_err(io)?,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    return Err(Error::Exists {
                        path: self.path.clone(),
                    });
                }
                // No hard links here.
                Err(_) => std::fs::rename(&self.unfinished, &self.path).map_err(io)?,
            }
        }
        sync_folder(&self.path).map_err(io)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // After `finish` there is nothing left under the temporary name.
        for suffix in [""].iter().chain(&COMPANIONS) {
            let _ignored = remove_if_present(&beside(&self.unfinished, suffix));
        }
    }
}

/// The folder and the name of a target, if one may be made there.
fn place(path: &Path, force: bool) -> Result<(&Path, &OsStr), Error> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(Error::NotAFile {
                path: path.to_owned(),
            });
        }
        Ok(_) if !force => {
            return Err(Error::Exists {
                path: path.to_owned(),
            });
        }
        _ => {}
    }
    let name = path.file_name().ok_or_else(|| Error::NotAFile {
        path: path.to_owned(),
    })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok((folder, name))
}

fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".zqlite-tmp-");
    prefix
}

/// Removes unfinished files of the same target that nobody works on: their lock is free.
fn remove_leftovers(folder: &Path, prefix: &OsStr) -> std::io::Result<usize> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().map(OsStr::as_encoded_bytes) else {
            continue;
        };
        let Some(rest) = name.strip_prefix(prefix.as_encoded_bytes()) else {
            continue;
        };
        if rest.len() != 16 || !rest.iter().all(u8::is_ascii_hexdigit) {
            continue;
        }
        // Whoever plants a pipe or a link under such a name shall not make us wait, or follow.
        if !std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if file.try_lock().is_ok() {
            for suffix in [""].iter().chain(&COMPANIONS) {
                remove_if_present(&beside(&path, suffix))?;
            }
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether the path names the file that is open.
pub(crate) fn is_same_file(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        matches!(
            (file.metadata().map(id), std::fs::symlink_metadata(path).map(id)),
            (Ok(open), Ok(named)) if open == named
        )
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

fn remove_if_present(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
