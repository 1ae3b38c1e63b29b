//! Reading the header: both copies, the keys in them, who has made it, and what an anchor knows.

use std::path::Path;

use zqlite_pq::header::{
    self, COPY_LEN, Expected, HEADER_LEN, Header, HeaderOpenError, Opened, SignatureError,
};
use zqlite_pq::label::MAGIC;
use zqlite_pq::page::PageOpener;
use zqlite_pq::seal;
use zqlite_pq::slot::SlotKind;

use super::Sealed;
use crate::vfs::access::{self, Maker};
use crate::vfs::code::{Code, Result};
use crate::vfs::counters;
use crate::{AnchorVerdict, Error, Sighting};

impl Sealed {
    /// Reads both copies; a file without any stays without.
    pub(super) fn load(&mut self) -> core::result::Result<(), Error> {
        let len = self.raw.len().map_err(|code| code.at(&self.path))?;
        if len == 0 {
            return Ok(());
        }
        let (mut a, mut b) = self.read_copies().map_err(|code| code.at(&self.path))?;
        if Header::decode(&a).is_err() && Header::decode(&b).is_err() {
            // Each may have been read while it was being written.
            (a, b) = self.read_copies().map_err(|code| code.at(&self.path))?;
        }
        let held = self.opened.as_ref().map(|opened| opened.epochs.clone());
        let known = held.or_else(|| self.access.known());
        let reopened = known.as_ref().and_then(|known| {
            match self.access.maker() {
                Maker::SignedBy(expected) => header::reopen_signed(&a, &b, known, expected),
                Maker::Unspecified | Maker::Any => header::reopen(&a, &b, known),
            }
            .ok()
        });
        // A remembered key of another file, or of an earlier epoch, does not open it: the keyring may.
        let (opened, maker_knew_a_secret) = if let Some(opened) = reopened {
            (opened, true)
        } else {
            let opened = match self.access.maker() {
                Maker::SignedBy(expected) => {
                    header::open_signed(&a, &b, self.access.keyring(), expected)
                }
                Maker::Unspecified | Maker::Any => header::open(&a, &b, self.access.keyring()),
            };
            match opened {
                Ok(opened) => {
                    // A passphrase or a raw key is a secret that the maker must have had, too; a recipient
                    // is public.
                    let secret = opened
                        .slot_kind()
                        .is_some_and(|kind| kind != SlotKind::Recipient);
                    (opened, secret)
                }
                Err(error) => return self.no_header(&error, &a, len),
            }
        };
        self.check_maker(&opened.header, maker_knew_a_secret)?;
        self.check_succession(&opened)?;
        self.check_anchor(&opened)?;
        if self.opened.as_ref().is_some_and(|held| {
            held.epochs.newest().commitment() != opened.epochs.newest().commitment()
        }) {
            // What was derived from a key goes by the epoch's number.
            self.opener = PageOpener::new();
            self.end_batch();
        }
        self.access.remember(&opened.epochs);
        self.page_size = opened.header.page_size();
        self.opened = Some(opened);
        Ok(())
    }

    fn no_header(
        &self,
        error: &HeaderOpenError,
        start: &[u8],
        len: u64,
    ) -> core::result::Result<(), Error> {
        let unfinished = len < HEADER_LEN
            && matches!(
                error,
                HeaderOpenError::Damaged { .. } | HeaderOpenError::NotSealed
            )
            && is_unfinished_creation(start);
        if unfinished && self.access.may_create() {
            return Ok(());
        }
        Err(header_error(error, &self.path, start, len))
    }

    /// A header that is read again must continue the one in hand: the same file, and not older. Anyone can make a header
    /// for a known public key, and what SQLite has in its cache would be sealed for him: so somebody who knew the key in
    /// hand must have brought the new one into use, or the same signer vouches for both.
    fn check_succession(&self, next: &Opened) -> core::result::Result<(), Error> {
        let Some(held) = &self.opened else {
            return Ok(());
        };
        if next.header.file_id() != held.header.file_id() {
            return Err(self.damaged("the file was exchanged for another while it was open"));
        }
        if next.header.stamp() < held.header.stamp() {
            return Err(
                self.damaged("the header was exchanged for an older one while the file was open")
            );
        }
        let same_signer = held
            .header
            .signer()
            .is_some_and(|signer| next.header.signer() == Some(signer));
        if !next.header.continues(&next.epochs, &held.epochs) && !same_signer {
            return Err(Error::KeyReplaced {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    /// A signature must verify even where nobody asked for it (F-17); and somebody must have said whose
    /// files are accepted.
    fn check_maker(
        &self,
        header: &Header,
        maker_knew_a_secret: bool,
    ) -> core::result::Result<(), Error> {
        if let (Maker::Unspecified | Maker::Any, Some(signer)) =
            (self.access.maker(), header.signer())
        {
            let expected = Expected {
                key: signer.clone(),
                file_id: None,
            };
            header
                .check_signature(&expected)
                .map_err(|error| signature_error(&error, &self.path))?;
        }
        match self.access.maker() {
            Maker::Unspecified if !maker_knew_a_secret => Err(Error::MakerUnspecified {
                path: self.path.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// An authentic header may be an old one: what remembers newer ones is asked, and told.
    pub(super) fn check_anchor(&self, opened: &Opened) -> core::result::Result<(), Error> {
        let Some(anchor) = self.access.anchored() else {
            return Ok(());
        };
        let stamp = opened.header.stamp();
        let copy = opened.header.encode(opened.epochs.newest());
        let sighting = Sighting {
            file_id: *opened.header.file_id(),
            stamp,
            header_hash: seal::header_hash(&copy),
            settled: opened.is_healthy(),
        };
        match anchor.check(&sighting)? {
            AnchorVerdict::Current => Ok(()),
            AnchorVerdict::Older { seen } => Err(Error::HeaderTooOld {
                path: self.path.clone(),
                found: stamp.generation,
                found_revision: stamp.revision,
                seen: seen.generation,
                seen_revision: seen.revision,
            }),
            AnchorVerdict::Forked => Err(self.damaged(
                "the header is another than the anchor has seen under this generation and revision",
            )),
        }
    }

    pub(super) fn read_copies(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let len = self.raw.len()?;
        let copy = |offset: u64| -> Result<Vec<u8>> {
            let present = len.saturating_sub(offset).min(COPY_LEN as u64);
            let mut bytes = vec![0; usize::try_from(present).map_err(|_| Code::INTERNAL)?];
            if !bytes.is_empty() {
                self.raw.read(&mut bytes, offset)?;
            }
            Ok(bytes)
        };
        Ok((copy(0)?, copy(COPY_LEN as u64)?))
    }

    /// [`Sealed::load`] for a callback: the reason is kept for whoever asks.
    pub(super) fn reload(&mut self) -> Result<()> {
        self.load().map_err(|error| {
            let code = Code::from(&error);
            counters::refused(&error);
            access::set_last_error(error);
            code
        })
    }

    pub(super) fn damaged(&self, what: &str) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            what: what.to_owned(),
        }
    }
}

/// A file that was never a database (F-11): empty, all zero, or the beginning of our own header.
fn is_unfinished_creation(start: &[u8]) -> bool {
    let magic = start.iter().zip(MAGIC).all(|(byte, magic)| *byte == magic);
    magic || start.iter().all(|&byte| byte == 0)
}

/// What a header that does not open says about the file.
pub(crate) fn header_error(error: &HeaderOpenError, path: &Path, start: &[u8], len: u64) -> Error {
    let path = path.to_owned();
    match error {
        HeaderOpenError::NotSealed if len == 0 => Error::Empty { path },
        HeaderOpenError::NotSealed => Error::NotSealed {
            path,
            plain_sqlite: start.starts_with(b"SQLite format 3\0"),
        },
        HeaderOpenError::NoKey => Error::NoKey { path },
        HeaderOpenError::VersionUnsupported { found } => Error::VersionUnsupported {
            path,
            found: *found,
        },
        HeaderOpenError::SuiteUnsupported { found } => Error::SuiteUnsupported {
            path,
            found: *found,
        },
        HeaderOpenError::Signature(error) => signature_error(error, &path),
        // The file may be in order: this machine cannot try the passphrase.
        HeaderOpenError::Argon2(error) => Error::Io {
            path,
            source: std::io::Error::other(error.to_string()),
        },
        other => Error::Damaged {
            path,
            what: other.to_string(),
        },
    }
}

fn signature_error(error: &SignatureError, path: &Path) -> Error {
    let path = path.to_owned();
    match error {
        SignatureError::Missing => Error::SignatureMissing { path },
        other => Error::SignatureUnexpected {
            path,
            what: other.to_string(),
        },
    }
}
