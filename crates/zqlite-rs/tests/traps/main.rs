//! Each trap that a VFS can fall into (VFS-FACTS.md sections 2.2 to 2.5), and each attack on a stored page.

#[path = "../support/probe.rs"]
mod probe;
#[path = "../support/support.rs"]
mod support;

mod device;
mod exchange;
mod header;
mod journal;
mod killed;
mod nonces;
mod page;
mod super_journal;
mod temporary;
mod wal;
