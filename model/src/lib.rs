//! Tries every interleaving of the locks of the write queue: `cargo test --release`.
//!
//! The queue is the product's own source, over loom's locks in the place of the standard library's.

#[path = "../../crates/zqlite-rs/src/runtime/queue.rs"]
#[allow(dead_code, reason = "the product calls more of it")]
mod queue;
mod sync;

#[cfg(test)]
mod tests;
