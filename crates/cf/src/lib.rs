//! A chat client from five components: presets and re-exports.
