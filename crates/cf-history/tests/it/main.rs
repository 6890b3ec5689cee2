//! The tests of cf-history, on a toy log with a toy format of contents.

mod durable;
mod golden;
mod laws;
mod shown;
mod world;
