//! Several delivery services as one.
//!
//! ```text
//! publish → Member × n → Verdict
//! next    ← Window ← Link × n
//! ```

mod cursor;
mod health;
mod link;
mod member;
mod options;
mod service;
mod subscription;
mod verdict;
mod window;

pub use health::{Answer, ServiceHealth};
pub use options::RedundantOptions;
pub use service::Redundant;
