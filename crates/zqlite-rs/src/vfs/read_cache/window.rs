//! Stored pages that follow each other in the file, opened by whoever comes first: the connection that reads them, or the
//! thread beside it.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use zeroize::Zeroizing;

/// How many bytes are opened in one go; never less than a page.
const PART_BYTES: usize = 32 << 10;

/// Pages from `first` on.
pub(super) struct Window {
    page_len: usize,
    first: u32,
    pages: u32,
    parts: Vec<Mutex<Part>>,
}

#[derive(Default)]
struct Part {
    /// It never shrinks: what is read over old bytes need not be zeroed first.
    bytes: Zeroizing<Vec<u8>>,
    len: usize,
    state: State,
}

#[derive(Default, PartialEq, Eq)]
enum State {
    /// As the file has it.
    #[default]
    Stored,
    /// The same, and the connection opens page after page of it.
    Taken,
    /// In place; a bit is set for each page that did open.
    Opened(u64),
}

/// What became of one page.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::vfs) enum Page {
    /// It is in the caller's buffer, opened by the thread beside.
    Opened,
    /// The caller's function has opened it, or not.
    Asked(bool),
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            page_len: 0,
            first: 0,
            pages: 0,
            parts: Vec::new(),
        }
    }

    /// Reads stored pages from `first` on; `read` is given a buffer and which page comes first in it. Nobody else has the
    /// window now.
    pub(super) fn fill<E>(
        &mut self,
        first: u32,
        pages: u32,
        page_len: usize,
        mut read: impl FnMut(&mut [u8], u32) -> Result<(), E>,
    ) -> Result<(), E> {
        self.page_len = page_len;
        self.first = first;
        self.pages = 0;
        let in_part = self.pages_in_part();
        let mut done = 0;
        for at in 0.. {
            if done == pages {
                break;
            }
            let count = in_part.min(pages - done);
            if self.parts.len() == at {
                self.parts.push(Mutex::default());
            }
            let Some(part) = self.parts.get_mut(at) else {
                break;
            };
            let part = part.get_mut().unwrap_or_else(PoisonError::into_inner);
            part.state = State::Stored;
            let len = page_len * count as usize;
            if part.bytes.len() < len {
                part.bytes = Zeroizing::new(vec![0; len.max(PART_BYTES)]);
            }
            part.len = len;
            read(part.bytes.get_mut(..len).unwrap_or_default(), first + done)?;
            done += count;
        }
        self.pages = pages;
        Ok(())
    }

    /// Whether this page is here.
    pub(super) fn holds(&self, number: u32, page_len: usize) -> bool {
        self.page_len == page_len && number.wrapping_sub(self.first) < self.pages
    }

    /// The first page.
    pub(super) const fn first(&self) -> u32 {
        self.first
    }

    /// The page behind the last one.
    pub(super) const fn end(&self) -> u32 {
        self.first.saturating_add(self.pages)
    }

    /// Gives a page that is here, or has it opened from what the file has. `None` if the thread beside could not open it, or is
    /// just about to.
    pub(super) fn take(
        &self,
        number: u32,
        page: &mut [u8],
        open: impl FnOnce(&[u8], &mut [u8]) -> bool,
    ) -> Option<Page> {
        let (part, at) = self.place(number, page.len())?;
        free(self.parts.get(part)?)?.take(at, page, open)
    }

    /// The same where nobody else has the window. To take a lock, the processor first ends whatever it was writing: pages,
    /// here.
    pub(super) fn take_alone(
        &mut self,
        number: u32,
        page: &mut [u8],
        open: impl FnOnce(&[u8], &mut [u8]) -> bool,
    ) -> Option<Page> {
        let (part, at) = self.place(number, page.len())?;
        let part = self.parts.get_mut(part)?.get_mut();
        part.unwrap_or_else(PoisonError::into_inner)
            .take(at, page, open)
    }

    /// Opens what the connection has not come to, in place. Runs on the thread beside.
    pub(super) fn open_beside(&self, mut open: impl FnMut(u32, &mut [u8]) -> bool) {
        let mut first = self.first;
        for part in &self.parts {
            if first >= self.end() {
                return;
            }
            if let Some(mut part) = free(part)
                && part.state == State::Stored
            {
                let mut opened = 0;
                let len = part.len;
                let bytes = part.bytes.get_mut(..len).unwrap_or_default();
                for (at, page) in bytes.chunks_exact_mut(self.page_len).enumerate() {
                    let number = first.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
                    opened |= u64::from(open(number, page)) << at;
                }
                part.state = State::Opened(opened);
            }
            first = first.saturating_add(self.pages_in_part());
        }
    }

    fn pages_in_part(&self) -> u32 {
        let pages = PART_BYTES.checked_div(self.page_len).unwrap_or_default();
        u32::try_from(pages).unwrap_or(u32::MAX).max(1)
    }

    /// In which part a page is, and which of its pages.
    fn place(&self, number: u32, page_len: usize) -> Option<(usize, u32)> {
        if page_len != self.page_len {
            return None;
        }
        let at = number.checked_sub(self.first)?;
        let in_part = self.pages_in_part();
        Some((usize::try_from(at / in_part).ok()?, at % in_part))
    }
}

impl Part {
    fn take(
        &mut self,
        at: u32,
        page: &mut [u8],
        open: impl FnOnce(&[u8], &mut [u8]) -> bool,
    ) -> Option<Page> {
        let start = at as usize * page.len();
        let bytes = self.bytes.get(start..start + page.len())?;
        match self.state {
            State::Opened(opened) if opened >> at & 1 == 1 => {
                page.copy_from_slice(bytes);
                Some(Page::Opened)
            }
            State::Opened(_) => None,
            State::Stored | State::Taken => {
                self.state = State::Taken;
                Some(Page::Asked(open(bytes, page)))
            }
        }
    }
}

/// Nobody waits: in the child of a fork, what another thread had locked stays so. A thread that panicked has left pages that do
/// not open.
fn free(part: &Mutex<Part>) -> Option<MutexGuard<'_, Part>> {
    match part.try_lock() {
        Ok(part) => Some(part),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 4_096;

    /// Every byte of a page is its number; stored ones have the high bit set.
    fn filled(first: u32, pages: u32) -> Window {
        let mut window = Window::new();
        let filled: Result<(), ()> = window.fill(first, pages, LEN, |bytes, number| {
            for (at, page) in bytes.chunks_exact_mut(LEN).enumerate() {
                page.fill(128 | u8::try_from(number as usize + at).expect("few pages"));
            }
            Ok(())
        });
        assert_eq!(filled, Ok(()));
        window
    }

    fn open(number: u32, page: &mut [u8]) -> bool {
        assert!(page.iter().all(|&byte| u32::from(byte) == 128 | number));
        page.iter_mut().for_each(|byte| *byte &= 127);
        // One page is not whole.
        number != 30
    }

    fn take(window: &Window, number: u32) -> (Option<Page>, u8) {
        let mut page = vec![0; LEN];
        let taken = window.take(number, &mut page, |stored, page| {
            page.copy_from_slice(stored);
            open(number, page)
        });
        assert!(page.iter().all(|byte| *byte == page[0]));
        (taken, page[0])
    }

    #[test]
    fn pages_are_the_same_whoever_opens_them() {
        let window = filled(10, 30);
        assert_eq!(window.end(), 40);
        for number in [10, 39] {
            assert!(window.holds(number, LEN));
        }
        for number in [0, 9, 40, u32::MAX] {
            assert!(!window.holds(number, LEN));
        }
        assert!(!window.holds(10, 2 * LEN));
        // The connection has begun with the first part: the thread leaves that alone.
        assert_eq!(take(&window, 11), (Some(Page::Asked(true)), 11));
        let mut beside = Vec::new();
        window.open_beside(|number, page| {
            beside.push(number);
            open(number, page)
        });
        assert_eq!(beside, (18..40).collect::<Vec<_>>());
        assert_eq!(take(&window, 17), (Some(Page::Asked(true)), 17));
        for number in (18..40).filter(|number| *number != 30) {
            let byte = u8::try_from(number).expect("few pages");
            assert_eq!(take(&window, number), (Some(Page::Opened), byte));
        }
        assert_eq!(take(&window, 30), (None, 0), "it did not open");
        // There is nothing left to do.
        window.open_beside(|number, _| panic!("page {number} again"));
    }

    #[test]
    fn a_window_is_filled_anew_and_holds_nothing_if_that_fails() {
        let mut window = filled(10, 30);
        window.open_beside(open);
        let filled: Result<(), ()> = window.fill(50, 2, 65_536, |bytes, number| {
            bytes.fill(u8::try_from(number).expect("few pages"));
            Ok(())
        });
        assert_eq!(filled, Ok(()));
        assert!(window.holds(51, 65_536) && !window.holds(52, 65_536));
        let mut page = vec![0; 65_536];
        let taken = window.take(51, &mut page, |stored, page| {
            page.copy_from_slice(stored);
            true
        });
        assert_eq!((taken, page), (Some(Page::Asked(true)), vec![51; 65_536]));
        assert_eq!(
            window.fill(5, 9, LEN, |_, number| if number == 5 {
                Ok(())
            } else {
                Err(number)
            }),
            Err(13)
        );
        assert!(!window.holds(5, LEN));
    }
}
