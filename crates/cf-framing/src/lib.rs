//! Framing strategies of chat protocols.
