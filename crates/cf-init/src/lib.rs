//! Initialization protocols of chat protocols.
