//! Where a chat client keeps its state.
