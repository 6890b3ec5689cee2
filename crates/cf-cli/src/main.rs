//! The program cf.
fn main() {}
