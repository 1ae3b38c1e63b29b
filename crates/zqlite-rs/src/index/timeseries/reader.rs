//! The points of one series in a range, in the order of time: chunks, and between and over them what is recent.

use super::super::fault::Result;
use super::chunk::{self, Point, Summary};
use super::cursor::bucket;
use super::stored::{Chunk, Stored};

pub(super) struct Reader {
    series: i64,
    /// What is before has been given. Chunks are looked up from here at each step: the connection that reads may make
    /// others of them meanwhile.
    from: i64,
    /// How often it had done so when a chunk was looked up last, which then ended before `from`.
    moves: Option<u64>,
    to: i64,
    /// Nothing is left in the chunks.
    ended: bool,
    /// Width of the buckets that are asked for.
    width: Option<i64>,
    /// Recent points that were not given yet. There are not many more than a chunk has.
    recent: Vec<Point>,
    /// How often something had been undone when they were read: it may have put others among them, out of chunks.
    undoings: u64,
}

/// What comes next.
pub(super) enum Step {
    Points(Vec<Point>),
    /// A chunk that lies in one bucket, and need not be opened: a time of it, and what is known of it.
    Whole(i64, Summary),
    End,
}

impl Reader {
    pub(super) fn new(
        stored: &Stored,
        series: i64,
        from: i64,
        to: i64,
        width: Option<i64>,
    ) -> Result<Self> {
        Ok(Self {
            series,
            from,
            moves: None,
            to,
            ended: false,
            width,
            recent: stored.recent(series, from, to)?,
            undoings: stored.undoings(),
        })
    }

    /// Begins anew, behind what was given, if something was undone.
    fn read_anew_if_undone(&mut self, stored: &Stored) -> Result<()> {
        if !self.ended && self.undoings != stored.undoings() {
            self.recent = stored.recent(self.series, self.from, self.to)?;
            self.undoings = stored.undoings();
        }
        Ok(())
    }

    /// The chunk that comes next.
    fn chunk(&mut self, stored: &Stored) -> Result<Option<Chunk>> {
        if self.ended {
            return Ok(None);
        }
        let moves = stored.moves();
        let over = if self.moves == Some(moves) {
            None
        } else {
            stored.chunk_over(self.series, self.from)?
        };
        let chunk = match over {
            Some(chunk) => Some(chunk),
            None => stored.chunk_at_or_after(self.series, self.from)?,
        };
        self.moves = Some(moves);
        Ok(chunk.filter(|chunk| chunk.first <= self.to))
    }

    pub(super) fn step(&mut self, stored: &Stored) -> Result<Step> {
        self.read_anew_if_undone(stored)?;
        let Some(chunk) = self.chunk(stored)? else {
            self.ended = true;
            if self.recent.is_empty() {
                return Ok(Step::End);
            }
            return Ok(Step::Points(core::mem::take(&mut self.recent)));
        };
        let before = self
            .recent
            .partition_point(|point| point.time < chunk.first);
        if before > 0 {
            self.from = self.from.max(chunk.first);
            return Ok(Step::Points(self.recent.drain(..before).collect()));
        }
        let over = self
            .recent
            .partition_point(|point| point.time <= chunk.last);
        let over: Vec<_> = self.recent.drain(..over).collect();
        let (from, to) = (self.from, self.to);
        match chunk.last.checked_add(1) {
            Some(after) if after <= to => self.from = after,
            _ => self.ended = true,
        }
        let is_inside = from <= chunk.first && chunk.last <= to;
        let is_one_bucket = self
            .width
            .is_some_and(|width| bucket(chunk.first, width) == bucket(chunk.last, width));
        if is_inside && is_one_bucket && over.is_empty() {
            return Ok(Step::Whole(chunk.first, chunk.summary));
        }
        let mut points = stored.open(&chunk)?;
        points.retain(|point| (from..=to).contains(&point.time));
        Ok(Step::Points(chunk::merge(points, &over)))
    }
}
