//! Carries values from one component of a chat protocol to the next.
