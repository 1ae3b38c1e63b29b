//! The points of one series in a range, in the order of time: chunks, and between and over them what is recent.

use super::super::fault::Result;
use super::chunk::{self, Point, Summary};
use super::cursor::bucket;
use super::stored::{Chunk, Stored};

pub(super) struct Reader {
    series: i64,
    from: i64,
    to: i64,
    /// Width of the buckets that are asked for.
    width: Option<i64>,
    /// Recent points that were not given yet. There are not many more than a chunk has.
    recent: Vec<Point>,
    next: Option<Chunk>,
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
        let next = match stored.chunk_over(series, from)? {
            Some(chunk) => Some(chunk),
            None => stored.chunk_at_or_after(series, from)?,
        };
        Ok(Self {
            series,
            from,
            to,
            width,
            recent: stored.recent(series, from, to)?,
            next: next.filter(|chunk| chunk.first <= to),
        })
    }

    pub(super) fn step(&mut self, stored: &Stored) -> Result<Step> {
        let Some(chunk) = self.next else {
            if self.recent.is_empty() {
                return Ok(Step::End);
            }
            return Ok(Step::Points(core::mem::take(&mut self.recent)));
        };
        let before = self
            .recent
            .partition_point(|point| point.time < chunk.first);
        if before > 0 {
            return Ok(Step::Points(self.recent.drain(..before).collect()));
        }
        self.next = match chunk.first.checked_add(1) {
            Some(after) => stored.chunk_at_or_after(self.series, after)?,
            None => None,
        };
        self.next = self.next.filter(|next| next.first <= self.to);
        let over = self
            .recent
            .partition_point(|point| point.time <= chunk.last);
        let over: Vec<_> = self.recent.drain(..over).collect();
        let is_inside = self.from <= chunk.first && chunk.last <= self.to;
        let is_one_bucket = self
            .width
            .is_some_and(|width| bucket(chunk.first, width) == bucket(chunk.last, width));
        if is_inside && is_one_bucket && over.is_empty() {
            return Ok(Step::Whole(chunk.first, chunk.summary));
        }
        let mut points = stored.open(&chunk)?;
        points.retain(|point| (self.from..=self.to).contains(&point.time));
        Ok(Step::Points(chunk::merge(points, &over)))
    }
}
