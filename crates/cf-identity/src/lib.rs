//! The stock identity: Ed25519 with certified X25519 keys.
