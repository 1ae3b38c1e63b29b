//! An anchor in one small file (FORMAT.md section 18).

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use zqlite_pq::epoch::FileId;
use zqlite_pq::header::Stamp;

use super::{Anchor, AnchorVerdict, Entry, Seen, Sighting};
use crate::Error;

const MAGIC: [u8; 16] = *b"zqlite anchor\r\n\x1a";
const VERSION: u16 = 1;
/// Magic, version, zeros, number of entries.
const FIXED_LEN: usize = 24;
const ENTRY_LEN: usize = FileId::LEN + 8 + 8 + 32;
/// Files that one anchor knows, at most.
const MAX_FILES: usize = 4_096;

/// An anchor in a file, for several processes at once.
///
/// The file is replaced as a whole, durably, under a lock that stands beside it (`NAME.lock`); both have mode 0600. It
/// has no MAC: it must live where whoever can write the database cannot write. One that does not exist yet is made when
/// the first header is seen; so whoever can delete it makes everything look new again.
#[derive(Clone, Debug)]
pub struct FileAnchor {
    path: PathBuf,
}

impl FileAnchor {
    /// The anchor in this file, which need not exist yet. Nothing is read before a header is checked.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn io(&self, source: std::io::Error) -> Error {
        Error::Io {
            path: self.path.clone(),
            source,
        }
    }

    fn read(&self) -> Result<Seen, Error> {
        let damaged = |what: &str| Error::Damaged {
            path: self.path.clone(),
            what: format!("this is no anchor: {what}"),
        };
        match std::fs::metadata(&self.path) {
            Ok(metadata) if !metadata.is_file() => {
                return Err(Error::NotAFile {
                    path: self.path.clone(),
                });
            }
            // Nothing that long is opened: it may be a database, whose locks would be lost.
            Ok(metadata) if metadata.len() > (FIXED_LEN + MAX_FILES * ENTRY_LEN) as u64 => {
                return Err(damaged("it is too long"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Seen::default()),
            Err(error) => return Err(self.io(error)),
        }
        let mut bytes = Vec::new();
        File::open(&self.path)
            .and_then(|file| {
                file.take((FIXED_LEN + MAX_FILES * ENTRY_LEN) as u64 + 1)
                    .read_to_end(&mut bytes)
            })
            .map_err(|error| self.io(error))?;
        decode(&bytes).map_err(damaged)
    }

    fn write(&self, seen: &Seen) -> std::io::Result<()> {
        let unfinished = self.beside(".new");
        // What a process that died left; the lock says that nobody works on it.
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&unfinished)?;
        let replaced = file
            .write_all(&encode(seen))
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&unfinished, &self.path))
            .and_then(|()| sync_folder(&self.path));
        if replaced.is_err() {
            let _nothing_left_behind = std::fs::remove_file(&unfinished);
        }
        replaced
    }

    /// Waits until no other process, and no other thread, works on the anchor.
    fn lock(&self) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.beside(".lock"))?;
        file.lock()?;
        Ok(file)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(suffix);
        PathBuf::from(name)
    }
}

impl Anchor for FileAnchor {
    fn check(&self, sighting: &Sighting) -> Result<AnchorVerdict, Error> {
        let _lock = self.lock().map_err(|error| self.io(error))?;
        let mut seen = self.read()?;
        let (verdict, is_news) = seen.judge(sighting);
        if is_news {
            if seen.0.len() > MAX_FILES {
                return Err(self.io(std::io::Error::other(
                    "the anchor knows 4,096 files already",
                )));
            }
            self.write(&seen).map_err(|error| self.io(error))?;
        }
        Ok(verdict)
    }
}

fn encode(seen: &Seen) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIXED_LEN + seen.0.len() * ENTRY_LEN);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 2]);
    let count = u32::try_from(seen.0.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&count.to_be_bytes());
    for (file_id, entry) in &seen.0 {
        bytes.extend_from_slice(file_id);
        bytes.extend_from_slice(&entry.stamp.generation.to_be_bytes());
        bytes.extend_from_slice(&entry.stamp.revision.to_be_bytes());
        bytes.extend_from_slice(&entry.header_hash);
    }
    bytes
}

/// Reads what [`encode`] writes, and nothing else (F-1).
fn decode(bytes: &[u8]) -> Result<Seen, &'static str> {
    let (start, entries) = bytes
        .split_first_chunk::<FIXED_LEN>()
        .ok_or("it is too short")?;
    if start.get(..16) != Some(&MAGIC) {
        return Err("the magic number is missing");
    }
    if start.get(16..20) != Some(&[0, 1, 0, 0]) {
        return Err("its version is not known here");
    }
    let mut seen = Seen::default();
    let mut last = None;
    for entry in entries.chunks(ENTRY_LEN) {
        let (file_id, entry) = read_entry(entry).ok_or("an entry is cut short, or out of range")?;
        if last.is_some_and(|last| last >= file_id) {
            return Err("its entries are not in order");
        }
        last = Some(file_id);
        seen.0.insert(file_id, entry);
    }
    if encode(&seen) != bytes || seen.0.is_empty() || seen.0.len() > MAX_FILES {
        return Err("it counts its entries wrongly");
    }
    Ok(seen)
}

fn read_entry(bytes: &[u8]) -> Option<([u8; FileId::LEN], Entry)> {
    let (file_id, rest) = bytes.split_first_chunk::<{ FileId::LEN }>()?;
    let (generation, rest) = rest.split_first_chunk::<8>()?;
    let (revision, rest) = rest.split_first_chunk::<8>()?;
    let stamp = Stamp {
        generation: u64::from_be_bytes(*generation),
        revision: u64::from_be_bytes(*revision),
    };
    let header_hash = rest.try_into().ok()?;
    (stamp.generation > 0 && stamp.revision > 0).then_some((*file_id, Entry { stamp, header_hash }))
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(id: u8, generation: u64, revision: u64, hash: u8) -> Sighting {
        Sighting {
            file_id: FileId::from_bytes([id; 16]),
            stamp: Stamp {
                generation,
                revision,
            },
            header_hash: [hash; 32],
            settled: true,
        }
    }

    fn sample() -> Vec<u8> {
        let mut seen = Seen::default();
        for id in [4, 1, 3] {
            assert!(seen.judge(&sighting(id, 2, 5, id)).1);
        }
        encode(&seen)
    }

    #[test]
    fn what_was_not_written_so_is_no_anchor() {
        let bytes = sample();
        assert_eq!(encode(&decode(&bytes).unwrap()), bytes);
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        let with = |at: usize, field: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[at..at + field.len()].copy_from_slice(field);
            decode(&bytes).is_ok()
        };
        let longer = [bytes.as_slice(), &[9; ENTRY_LEN]].concat();
        let cases = [
            with(0, b"x"),
            with(17, &[2]),
            with(19, &[1]),
            with(23, &[2]),
            with(23, &[4]),
            // Out of order, twice the same, a generation and a revision of 0.
            with(FIXED_LEN, &[9]),
            with(FIXED_LEN + ENTRY_LEN, &[1; 16]),
            with(FIXED_LEN + 16, &[0; 8]),
            with(FIXED_LEN + 24, &[0; 8]),
            decode(&longer).is_ok(),
        ];
        assert_eq!(cases, [false; 10]);
        assert!(with(FIXED_LEN + 32, &[0xff; 32]), "a hash may be anything");
    }

    #[test]
    fn an_anchor_refuses_what_is_older_and_remembers_what_is_newer() {
        let dir = tempfile::tempdir().unwrap();
        let anchor = FileAnchor::new(dir.path().join("anchor"));
        let judge = |s: &Sighting| anchor.check(s).unwrap();
        assert!(matches!(
            judge(&sighting(1, 2, 5, 1)),
            AnchorVerdict::Current
        ));
        assert!(matches!(
            judge(&sighting(2, 1, 1, 9)),
            AnchorVerdict::Current
        ));
        assert!(matches!(
            judge(&sighting(1, 2, 5, 1)),
            AnchorVerdict::Current
        ));
        assert!(matches!(
            judge(&sighting(1, 2, 4, 1)),
            AnchorVerdict::Older { .. }
        ));
        assert!(matches!(
            judge(&sighting(1, 1, 9, 1)),
            AnchorVerdict::Older { .. }
        ));
        assert!(matches!(
            judge(&sighting(1, 2, 5, 2)),
            AnchorVerdict::Forked
        ));
        // Of an update that is half done nothing is kept.
        let half = Sighting {
            settled: false,
            ..sighting(1, 2, 6, 3)
        };
        assert!(matches!(judge(&half), AnchorVerdict::Current));
        assert!(matches!(
            judge(&sighting(1, 2, 5, 1)),
            AnchorVerdict::Current
        ));
        assert!(matches!(
            judge(&sighting(1, 3, 6, 3)),
            AnchorVerdict::Current
        ));
        assert!(matches!(
            judge(&sighting(1, 2, 6, 3)),
            AnchorVerdict::Older { .. }
        ));
    }
}
