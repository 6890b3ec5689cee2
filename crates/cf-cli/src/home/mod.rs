//! A home and the processes that use it: one owns it and serves the others over
//! a socket in it; when it is gone, the next takes over.

mod backup;
mod call;
mod describe;
mod files;
mod owner;
mod past;
mod server;
mod session;
mod socket;

pub(crate) use call::Call;
pub(crate) use describe::{hex, unhex};
pub(crate) use past::now;
pub(crate) use session::Session;
