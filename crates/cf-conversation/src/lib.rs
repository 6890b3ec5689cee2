//! Conversation protocols of chat protocols, and wrappers around any.
