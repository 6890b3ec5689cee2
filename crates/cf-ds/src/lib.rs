//! Delivery services of chat protocols.
