//! The contracts of a chat protocol's five components, and the types that they
//! share.
//!
//! CHAT-FRAMEWORK says that a chat protocol is described by five choices. Each
//! is a trait here, and nothing else of one component is known to another:
//!
//! | choice | contract | instance |
//! |---|---|---|
//! | Delivery Service | [`DeliveryService`] | [`Subscription`] |
//! | Framing Strategy | [`FramingStrategy`] | [`Router`] |
//! | Discovery | [`DiscoveryProtocol`] | |
//! | Initialization | [`InitializationProtocol`] | [`Inbox`], [`Handshake`] |
//! | Conversation | [`ConversationProtocol`] | [`Conversation`] |
//!
//! Beside them stand what a client is given: an [`Identity`] and a [`Store`].
//!
//! # How the pieces meet
//!
//! No component calls another. Each takes values and gives values, and a
//! *driver* (the crate `cf-client` has one) carries them to the next:
//!
//! ```text
//! content → Conversation → Frame → FramingStrategy → payload → DeliveryService
//! content ← Conversation ← Frame ← Router ← payload ← Subscription
//! ```
//!
//! Framing, initialization and conversations are **state machines without
//! I/O**. Time, randomness and stored records come in through [`Env`]; what is
//! to be sent, listened to, expected, told, stored and woken for comes out of
//! `poll_output`. They have no clock, no task and no socket, so that each runs
//! unchanged in a simulator, from a seed.
//!
//! The one rule of use: **after any call that takes `&mut self`, drain
//! `poll_output` until it gives `None`** before the next call.
//!
//! This crate has no I/O, no runtime, no cryptography, no protobuf and no
//! features. Every trait states its *laws*; `cf-testkit` tests exactly those.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod content;
mod conversation;
mod delivery;
mod descriptor;
mod discovery;
mod env;
mod error;
mod framing;
mod id;
mod identity;
mod initialization;
pub mod padding;
mod point;
mod secret;
mod store;

pub use content::{Content, ContentState, ConversationEvent, FailureReason, Signal, TYPING_FOR};
pub use conversation::{
    Conversation, ConversationProtocol, Created, Incoming, Input, MadeOffer, Offer, OfferRequest,
    OutgoingInvite, Output, Peer, PeerId, Properties, Publish, PublishId, Setup, Spread,
};
pub use delivery::{
    Capabilities, Condition, Connector, Cursor, Delivery, DeliveryService, Linkable, Outcome,
    PublishRequest, Resume, Start, Subscription,
};
pub use descriptor::{Component, ProtocolDescriptor};
pub use discovery::{
    Advertised, Advertisement, BundleSet, DiscoveryProperties, DiscoveryProtocol, Withdrawal,
};
pub use env::{Env, Random, Timestamp};
pub use error::{Error, ErrorKind, Result};
pub use framing::{
    Frame, FramingProperties, FramingStrategy, InstanceId, Routed, Router, RoutingTag, Tag,
};
pub use id::{
    BundleId, ContentId, ConversationId, InviteId, OfferId, ParticipantId, PayloadId, ProtocolId,
};
pub use identity::{AgreementKey, Identity};
pub use initialization::{
    BundleInfo, BundleSpec, Handshake, Inbox, InboxOutput, InitializationProperties,
    InitializationProtocol, Invitation, Invite, Opened, Recognized, SealedInvite,
};
pub use point::{DeliveryAddress, DeliveryPoint, Locator, PointInfo};
pub use secret::Secret;
pub use store::{Batch, EmptyRecords, RecordChange, Records, Scan, Scoped, Store, is_numbered};

/// Which side of a first contact a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Made the conversation and sent the invite.
    Initiator,
    /// Was invited and joined.
    Responder,
}

/// A boxed future, so that contracts stay object-safe.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
