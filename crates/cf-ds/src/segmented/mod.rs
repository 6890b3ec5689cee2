//! Payloads larger than a delivery service takes, in pieces.
//!
//! ```text
//! payload → Piece::cut → inner service → Reassembly → payload
//! ```

mod counts;
mod cursor;
mod options;
mod piece;
mod reassembly;
mod service;
mod subscription;
mod tree;

pub use counts::SegmentedCounts;
pub use options::SegmentedOptions;
pub use service::Segmented;
