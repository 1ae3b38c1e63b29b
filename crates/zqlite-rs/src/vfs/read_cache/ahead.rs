//! Reading in runs: which pages follow, and what was read ahead of them.

use std::sync::Arc;

use super::beside::Beside;
use super::window::{Page, Window};
use crate::vfs::sealed::PageKeys;

/// How many bytes are read ahead at most.
const BYTES: usize = 256 << 10;
/// The first reading ahead covers this many pages; each further one twice as many.
const FIRST: u32 = 4;
/// How many pages in a row make a run.
const RUN: u32 = 2;
/// How many windows that are of no use any more are kept for the next reading.
const SPARE: usize = 2;

/// Stored pages that follow each other in the file, and the run that they belong to.
#[derive(Default)]
pub(super) struct Ahead {
    /// What pages are taken from.
    current: Current,
    /// The first page of it that is as the file has it.
    from: u32,
    /// What follows it: opened on a thread beside.
    following: Option<Arc<Window>>,
    spare: Vec<Window>,
    beside: Beside,
    /// The length of the file, as somebody asked for it.
    pub(super) file_len: Option<u64>,
    /// The page that would continue the run.
    next: u32,
    /// How many pages were read in a row.
    run: u32,
    /// How many pages the last reading ahead covered.
    window: u32,
}

#[derive(Default)]
enum Current {
    #[default]
    Nothing,
    /// Only the connection has it.
    Alone(Window),
    /// The thread beside has it, or had it.
    Shared(Arc<Window>),
}

impl Current {
    fn window(&self) -> Option<&Window> {
        match self {
            Self::Nothing => None,
            Self::Alone(window) => Some(window),
            Self::Shared(window) => Some(window),
        }
    }
}

impl Ahead {
    /// Whether a page was read ahead.
    pub(super) fn holds(&mut self, number: u32, page_len: usize) -> bool {
        let holds = |window: &Window| window.holds(number, page_len);
        if number >= self.from && self.current.window().is_some_and(holds) {
            return true;
        }
        if let Some(following) = self.following.take_if(|window| holds(window)) {
            self.replace(Current::Shared(following));
            return true;
        }
        false
    }

    /// How many pages, from this one on, to read in one piece: 1 unless pages are read in a run.
    pub(super) fn pages_to_read(&mut self, number: u32, page_len: usize) -> u32 {
        // Interior pages stand between the leaves of a table that was filled in order.
        if number == self.next || number == self.next.saturating_add(1) {
            self.run = self.run.saturating_add(1);
        } else {
            self.end_run();
        }
        self.next = number.saturating_add(1);
        if self.run < RUN {
            return 1;
        }
        self.window = (self.window * 2).max(FIRST).min(most(page_len));
        self.window
    }

    /// Which pages to read now, so that they are opened when the run comes to them: the first, and how many. `None` unless it
    /// is a long run, and the machine has a processor to spare.
    pub(super) fn following(&self, page_len: usize) -> Option<(u32, u32)> {
        let current = self.current.window()?;
        let due = self.following.is_none() && self.window == most(page_len) && Beside::pays();
        due.then(|| (current.end(), self.window))
    }

    /// Reads the pages of a run (see [`Window::fill`]), in the place of what was read before.
    pub(super) fn fill<E>(
        &mut self,
        first: u32,
        pages: u32,
        page_len: usize,
        read: impl FnMut(&mut [u8], u32) -> Result<(), E>,
    ) -> Result<(), E> {
        self.forget();
        let filled = self.filled(first, pages, page_len, read)?;
        self.current = Current::Alone(filled);
        Ok(())
    }

    /// Reads the pages behind them, and has them opened by these keys.
    pub(super) fn fill_following<E>(
        &mut self,
        first: u32,
        pages: u32,
        page_len: usize,
        keys: PageKeys,
        read: impl FnMut(&mut [u8], u32) -> Result<(), E>,
    ) -> Result<(), E> {
        let filled = Arc::new(self.filled(first, pages, page_len, read)?);
        self.beside.open(&filled, keys);
        self.following = Some(filled);
        Ok(())
    }

    fn filled<E>(
        &mut self,
        first: u32,
        pages: u32,
        page_len: usize,
        read: impl FnMut(&mut [u8], u32) -> Result<(), E>,
    ) -> Result<Window, E> {
        let mut window = self.spare.pop().unwrap_or_else(Window::new);
        window.fill(first, pages, page_len, read)?;
        Ok(window)
    }

    /// Gives a page that was read ahead (see [`Window::take`]).
    pub(super) fn take(
        &mut self,
        number: u32,
        page: &mut [u8],
        open: impl FnOnce(&[u8], &mut [u8]) -> bool,
    ) -> Option<Page> {
        self.next = number.saturating_add(1);
        match &mut self.current {
            Current::Nothing => None,
            Current::Alone(window) => window.take_alone(number, page, open),
            Current::Shared(window) => window.take(number, page, open),
        }
    }

    /// A page was not read: it was kept. The run goes on behind it.
    pub(super) const fn passed(&mut self, number: u32) {
        if number == self.next {
            self.next = number.saturating_add(1);
        }
    }

    /// A page of the file is about to be written. Who changes a table from its beginning to its end writes behind where he
    /// reads, again and again: what lies before him is as it was.
    pub(super) fn written(&mut self, number: u32) {
        let holds = |window: &Window| (window.first()..window.end()).contains(&number);
        let is_in_current = self.current.window().is_some_and(holds);
        if is_in_current && number < self.next {
            self.from = self.from.max(number.saturating_add(1));
        } else if is_in_current || self.following.as_deref().is_some_and(holds) {
            self.forget();
        }
    }

    /// What was read ahead is of no use.
    pub(super) fn forget(&mut self) {
        if let Some(following) = self.following.take() {
            self.replace(Current::Shared(following));
        }
        self.replace(Current::Nothing);
    }

    /// The run has ended, and so has what vouched for what was read.
    pub(super) fn clear(&mut self) {
        self.forget();
        self.file_len = None;
        self.next = 0;
        self.end_run();
    }

    /// Pages are read one by one until another run begins.
    pub(super) const fn end_run(&mut self) {
        self.run = 0;
        self.window = 0;
    }

    /// Puts another window in the place of the current one, whose memory serves again if the thread beside has left it.
    fn replace(&mut self, current: Current) {
        self.from = 0;
        let window = match core::mem::replace(&mut self.current, current) {
            Current::Nothing => None,
            Current::Alone(window) => Some(window),
            Current::Shared(window) => Arc::into_inner(window),
        };
        if self.spare.len() < SPARE {
            self.spare.extend(window);
        }
    }
}

fn most(page_len: usize) -> u32 {
    u32::try_from(BYTES / page_len).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 4_096;

    fn window(first: u32) -> Window {
        let mut window = Window::new();
        let filled: Result<(), ()> = window.fill(first, 10, LEN, |bytes, _| {
            bytes.fill(1);
            Ok(())
        });
        assert_eq!(filled, Ok(()));
        window
    }

    /// Pages 10 to 19 to be taken from, up to 14 already taken, and 20 to 29 after them.
    fn ahead() -> Ahead {
        Ahead {
            current: Current::Alone(window(10)),
            following: Some(Arc::new(window(20))),
            next: 15,
            ..Ahead::default()
        }
    }

    /// Which of the pages are still good after this one was written.
    fn good_after(written: u32) -> Vec<u32> {
        let mut ahead = ahead();
        ahead.written(written);
        (0..40).filter(|&number| ahead.holds(number, LEN)).collect()
    }

    #[test]
    fn what_is_written_is_read_again_and_what_lies_before_the_reader_as_well() {
        let all: Vec<_> = (10..30).collect();
        for elsewhere in [1, 9, 30] {
            assert_eq!(good_after(elsewhere), all);
        }
        for behind in 10..15 {
            let rest: Vec<_> = (behind + 1..30).collect();
            assert_eq!(good_after(behind), rest);
        }
        for before in 15..30 {
            assert_eq!(good_after(before), [], "{before}");
        }
    }
}
