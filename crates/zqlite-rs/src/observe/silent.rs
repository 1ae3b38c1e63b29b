//! Handles that do nothing, for builds without the feature `metrics`.

#[derive(Debug)]
pub(super) struct Counter;

#[derive(Debug)]
pub(super) struct Gauge;

#[derive(Debug)]
pub(super) struct Histogram;

#[expect(
    clippy::unused_self,
    reason = "these stand in for handles that have something to do"
)]
impl Counter {
    pub(super) const fn increment(&self, _by: u64) {}
}

#[expect(
    clippy::unused_self,
    reason = "these stand in for handles that have something to do"
)]
impl Gauge {
    pub(super) fn set<T>(&self, _value: T) {}
}

#[expect(
    clippy::unused_self,
    reason = "these stand in for handles that have something to do"
)]
impl Histogram {
    pub(super) fn record<T>(&self, _value: T) {}
}
