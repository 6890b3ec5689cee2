//! Discovery protocols of chat protocols.
