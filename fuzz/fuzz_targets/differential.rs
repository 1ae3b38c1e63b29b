//! The parts of the target `sql_differential`.

pub mod script;
pub mod world;
