//! What the tests of every component share: the conformance suites of the
//! contracts in [`cf_core`], a faulty network, a seeded source of randomness,
//! and records that behave as a client keeps them.
//!
//! Each suite tests exactly the laws that a contract's documentation states; one
//! line makes one test for each. What is declared must be kept; what is not
//! declared is not asserted.
//!
//! | contract | suite | macro |
//! |---|---|---|
//! | [`cf_core::DeliveryService`] | [`delivery`] | [`delivery_service_tests!`] |
//! | [`cf_core::FramingStrategy`] | [`framing`] | [`framing_tests!`] |
//! | [`cf_core::DiscoveryProtocol`] | [`discovery`] | [`discovery_tests!`] |
//! | [`cf_core::InitializationProtocol`] | [`initialization`] | [`initialization_tests!`] |
//! | [`cf_core::ConversationProtocol`] | [`conversation`] | [`conversation_tests!`] |
//! | [`cf_core::Store`] | [`store`] | [`store_tests!`] |
//! | [`cf_core::Identity`] | [`identity`] | [`identity_tests!`] |
//!
//! [`servers`] starts the servers that a service needs in its tests, and a proxy that
//! cuts connections.
//!
//! The functions of a suite are its laws: each takes what the macro's factory
//! gives and answers with a [`Verdict`], for whoever wants to look at the
//! [`Violation`] itself.

pub mod conversation;
pub mod delivery;
pub mod discovery;
pub mod faulty;
pub mod framing;
pub mod identity;
pub mod initialization;
mod law;
mod random;
mod records;
pub mod servers;
pub mod store;
mod subject;
pub mod suite;

pub use conversation::ConversationUnderTest;
pub use delivery::DeliveryUnderTest;
pub use discovery::DiscoveryUnderTest;
pub use faulty::{Fates, FaultCounts, Faults, FaultyService, Passage};
pub use framing::FramingUnderTest;
pub use identity::{IdentitiesUnderTest, NamedIdentity};
pub use initialization::InitializationUnderTest;
pub use law::{Law, Verdict, Violation};
pub use random::SeededRandom;
pub use records::RecordMap;
pub use store::StoreUnderTest;
pub use subject::{
    Alone, Boxed, Given, GivenLater, Later, Now, Shared, Subject, UnderTest, Value, Whole,
};
