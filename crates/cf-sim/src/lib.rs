//! Whole clients in virtual time, from a seed, with everything that can go wrong.
//!
//! A *life* is two to four clients, each the very driver that the tokio shell runs, over
//! stores that crash at every boundary and a network that loses, repeats, reorders and
//! parts; everything in it follows from one seed, so that a life that shows a fault can
//! be lived again, with a diagram of it. It names no component: whoever calls gives what
//! the clients are made of.
//!
//! What is checked, at every commit and effect or in the end:
//!
//! - nothing is lost, nothing told twice, and in order where the protocol promises it;
//! - no single-use tag, hence no key and nonce, is used for two different frames;
//! - no state of a content is told before it is true, and none is taken back;
//! - events are numbered without gaps, and what is logged never changes; the application
//!   is told every one;
//! - nothing is published, told or acknowledged before it is durable, and a client that
//!   starts again goes on exactly where it durably stopped;
//! - queues keep their bounds; and all sides come to the same once the network is kind.
//!
//! ```no_run
//! # fn town(_: &mut cf_testkit::SeededRandom) -> Vec<cf_sim::Member> { Vec::new() }
//! cf_sim::Soak::from_env(50).run("private", cf_sim::in_memory(town));
//! ```

mod application;
mod checks;
mod client;
mod disk;
mod life;
mod network;
mod plan;
mod soak;
mod trace;
mod world;

pub use disk::Disk;
pub use life::{Life, Member, Summary, Violation, in_memory, live};
pub use soak::Soak;
