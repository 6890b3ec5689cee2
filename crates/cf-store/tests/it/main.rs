//! The laws of [`cf_core::Store`], against a model that does everything the
//! slow way.

mod laws;
