//! Files without a name: statement journals, the sorter, temporary databases, VACUUM's copy.
//!
//! They die with the process, so the key, the nonces and the tags stay in memory. The file is cut into
//! blocks; each write of a block uses the next nonce of a counter.

use zeroize::Zeroizing;
use zqlite_pq::aead;

use super::code::{Code, Result};
use super::ffi::{self, RawFile, Read};

/// Length of a block in bytes.
const BLOCK_LEN: usize = 4_096;

/// What opens a block that was written.
#[derive(Clone, Copy)]
struct Sealed {
    counter: u64,
    tag: [u8; aead::TAG_LEN],
}

/// An encrypted file without a name.
pub(super) struct TempFile {
    raw: RawFile,
    /// Whose file this is: after a fork, parent and child would count the same nonces.
    process: u32,
    key: aead::Key,
    next_counter: u64,
    blocks: Vec<Option<Sealed>>,
    len: u64,
    /// The block in hand: writes mostly follow each other.
    current: Option<usize>,
    dirty: bool,
    plain: Zeroizing<Vec<u8>>,
    scratch: Vec<u8>,
}

impl TempFile {
    pub(super) fn new(raw: RawFile) -> Result<Self> {
        let mut key = Zeroizing::new([0; aead::KEY_LEN]);
        getrandom::fill(key.as_mut()).map_err(|_| Code::INTERNAL)?;
        Ok(Self {
            raw,
            process: ffi::process(),
            key: aead::Key::new(&key),
            next_counter: 0,
            blocks: Vec::new(),
            len: 0,
            current: None,
            dirty: false,
            plain: Zeroizing::new(vec![0; BLOCK_LEN]),
            scratch: vec![0; BLOCK_LEN],
        })
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&mut self, buf: &mut [u8], offset: u64) -> Result<()> {
        let present = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (want, rest) = buf.split_at_mut(present.min(buf.len()));
        rest.fill(0);
        let mut done = 0;
        while done < want.len() {
            let (block, within, len) = span(offset, done, want.len())?;
            self.fetch(block)?;
            let from = self.plain.get(within..within + len).ok_or(Code::READ)?;
            want.get_mut(done..done + len)
                .ok_or(Code::READ)?
                .copy_from_slice(from);
            done += len;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(Code::SHORT_READ)
        }
    }

    pub(super) fn write(&mut self, buf: &[u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let (block, within, len) = span(offset, done, buf.len())?;
            if len == BLOCK_LEN && self.current != Some(block) {
                self.flush()?;
                self.current = Some(block);
            } else {
                self.fetch(block)?;
            }
            self.dirty = true;
            let from = buf.get(done..done + len).ok_or(Code::WRITE)?;
            self.plain
                .get_mut(within..within + len)
                .ok_or(Code::WRITE)?
                .copy_from_slice(from);
            done += len;
        }
        self.len = self.len.max(offset + buf.len() as u64);
        Ok(())
    }

    pub(super) fn truncate(&mut self, len: u64) -> Result<()> {
        if len >= self.len {
            return Ok(());
        }
        let blocks = usize::try_from(len.div_ceil(BLOCK_LEN as u64)).map_err(|_| Code::WRITE)?;
        if self.current.is_some_and(|block| block >= blocks) {
            self.current = None;
            self.dirty = false;
        }
        self.blocks.truncate(blocks);
        self.len = len;
        // What stood behind the end must read as zeros if the file grows again.
        let within = usize::try_from(len % BLOCK_LEN as u64).map_err(|_| Code::WRITE)?;
        if within > 0 {
            self.fetch(blocks - 1)?;
            self.plain.get_mut(within..).ok_or(Code::WRITE)?.fill(0);
            self.dirty = true;
        }
        self.raw.truncate((blocks * BLOCK_LEN) as u64)
    }

    /// Brings a block into hand; one that was never written is zeros.
    fn fetch(&mut self, block: usize) -> Result<()> {
        if self.current == Some(block) {
            return Ok(());
        }
        self.flush()?;
        self.current = None;
        match self.blocks.get(block).copied().flatten() {
            None => self.plain.fill(0),
            Some(sealed) => {
                let Read::Full = self.raw.read(&mut self.plain, (block * BLOCK_LEN) as u64)? else {
                    return Err(Code::DATA);
                };
                self.key
                    .open_in_place(
                        &nonce(sealed.counter),
                        &aad(block),
                        &mut self.plain,
                        &sealed.tag,
                    )
                    .map_err(|_| Code::DATA)?;
            }
        }
        self.current = Some(block);
        Ok(())
    }

    /// Writes the block in hand, if it was changed.
    fn flush(&mut self) -> Result<()> {
        let Some(block) = self.current else {
            return Ok(());
        };
        if !self.dirty {
            return Ok(());
        }
        if self.process != ffi::process() {
            return Err(Code::WRITE);
        }
        self.scratch.copy_from_slice(&self.plain);
        let counter = self.next_counter;
        self.next_counter += 1;
        let tag = self
            .key
            .seal_in_place(&nonce(counter), &aad(block), &mut self.scratch);
        self.raw.write(&self.scratch, (block * BLOCK_LEN) as u64)?;
        if self.blocks.len() <= block {
            self.blocks.resize(block + 1, None);
        }
        if let Some(slot) = self.blocks.get_mut(block) {
            *slot = Some(Sealed { counter, tag });
        }
        self.dirty = false;
        Ok(())
    }
}

/// The block that byte `done` of a request falls into, where in it, and how many bytes of it.
fn span(offset: u64, done: usize, total: usize) -> Result<(usize, usize, usize)> {
    let at = usize::try_from(offset).map_err(|_| Code::INTERNAL)? + done;
    let within = at % BLOCK_LEN;
    Ok((
        at / BLOCK_LEN,
        within,
        (BLOCK_LEN - within).min(total - done),
    ))
}

fn nonce(counter: u64) -> [u8; aead::NONCE_LEN] {
    let mut nonce = [0; aead::NONCE_LEN];
    let (_, low) = nonce.split_at_mut(4);
    low.copy_from_slice(&counter.to_be_bytes());
    nonce
}

fn aad(block: usize) -> [u8; 8] {
    (block as u64).to_be_bytes()
}
