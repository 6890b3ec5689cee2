//! Initialization: how a Recipient learns that a client wants to communicate.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    BundleId, ConversationId, DeliveryPoint, Env, Frame, Identity, InviteId, Offer, OfferId,
    ParticipantId, ProtocolId, RecordChange, Result, RoutingTag, Secret, Timestamp,
};

/// Makes first contacts. Knows nothing of what a conversation does.
///
/// # Laws
/// CHAT-FRAMEWORK, "Initialization": it takes an introduction bundle and gives
/// an established conversation, at a defined location and by a procedure that
/// several conversation protocols and versions share.
/// - Both sides of a handshake export equal secrets; no two handshakes do.
/// - An invite is opened only by the inbox whose bundle it was made for, and
///   only if everything in it authenticates. Then and only then is anything stored.
/// - An invite for a conversation protocol that the recipient does not have is
///   opened all the same: an older client recognizes the presence of a newer type.
/// - The same bytes again are [`Opened::Repeated`](crate::Inbox::open).
/// - A sender refuses a bundle that is not authentic or has expired. Authentic is
///   also its list of the protocols that it was made together with: so a set from
///   which bundles were taken shows it.
///
/// # How it is used
///
/// ```
/// use std::sync::Arc;
/// use cf_core::*;
/// use bytes::Bytes;
///
/// /// The sender's half: two steps, since a conversation's parameters may
/// /// depend on the secret and travel in the invite.
/// fn invite(
///     initialization: &dyn InitializationProtocol,
///     conversations: &dyn ConversationProtocol,
///     identity: &Arc<dyn Identity>,
///     bundle: &Bytes,
///     mut setup: Setup,
///     mut invite: Invite,
///     env: &mut Env<'_>,
/// ) -> Result<(Box<dyn Conversation>, SealedInvite)> {
///     let handshake = initialization.initiate(identity, bundle, setup.conversation, env)?;
///     setup.exported = Some(handshake.exported().clone());
///     let created = conversations.create(setup, env)?;
///     invite.parameters = created.parameters;
///     let sealed = handshake.seal(&invite, env)?;
///     Ok((created.conversation, sealed))
/// }
/// ```
pub trait InitializationProtocol: Send + Sync {
    /// The protocol of this initialization.
    fn id(&self) -> &ProtocolId;

    /// Verifies a bundle and says what is in it.
    ///
    /// # Errors
    /// `Malformed`, `Rejected` if it is not authentic or has expired.
    fn read(&self, identity: &dyn Identity, bundle: &Bytes, now: Timestamp) -> Result<BundleInfo>;

    /// Starts a first contact with the owner of a bundle.
    ///
    /// # Errors
    /// As [`read`](Self::read); `Rejected` for keys without contribution.
    fn initiate(
        &self,
        identity: &Arc<dyn Identity>,
        bundle: &Bytes,
        conversation: ConversationId,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Handshake>>;

    /// Opens a client's inbox: an empty one if there are no records.
    ///
    /// Puts out the listens in force.
    ///
    /// # Errors
    /// `Unsupported` for records of a newer version, `Other` for damaged ones.
    fn inbox(&self, identity: Arc<dyn Identity>, env: &mut Env<'_>) -> Result<Box<dyn Inbox>>;

    /// What the protocol promises and needs; nothing is declared by default.
    fn properties(&self) -> InitializationProperties {
        InitializationProperties::default()
    }
}

/// What an initialization protocol promises and needs, as data. Everything not
/// declared is not promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InitializationProperties {
    /// Each side knows who the other one is.
    pub authenticated: bool,
    /// Who is not the recipient does not learn who sent an invite.
    pub hides_sender: bool,
    /// Keys that are stolen later do not open an invite.
    pub forward_secret: bool,
    /// An invite stays confidential against a later quantum attacker.
    pub post_quantum: bool,
    /// The length of a bundle without offers, in bytes, at least.
    pub min_bundle_len: usize,
    /// The length of the body of an invite's frame, in bytes, at least.
    pub min_body_len: usize,
}

/// The sender's first contact between its two steps; [`InitializationProtocol`]
/// shows both.
pub trait Handshake: Send {
    /// The secret that the conversation is made from; bound to both
    /// participants, the bundle and the conversation's id.
    fn exported(&self) -> &Secret;

    /// Seals an invite to a payload's frame.
    ///
    /// # Errors
    /// `Rejected` if the invite is too long, `Misuse` if it names another
    /// conversation than the handshake.
    fn seal(self: Box<Self>, invite: &Invite, env: &mut Env<'_>) -> Result<SealedInvite>;
}

/// The recipient's side: all bundles of one client, and the invites that come.
///
/// # Laws
/// - [`recognize`](Self::recognize) costs no asymmetric operation, and no more
///   than one trial for each live bundle of the point.
/// - [`open`](Self::open) changes nothing unless everything authenticated.
/// - Its outputs of one call are committed together or not at all; restored
///   from them it behaves as before.
///
/// ```
/// use cf_core::*;
/// use bytes::Bytes;
///
/// /// What a driver does with a frame that routed nowhere.
/// fn offer(
///     inbox: &mut dyn Inbox,
///     point: &DeliveryPoint,
///     (tag, body): (RoutingTag, Bytes),
///     env: &mut Env<'_>,
/// ) -> Result<Option<Box<Invitation>>> {
///     let Some(recognized) = inbox.recognize(point, tag, &body) else {
///         return Ok(None);
///     };
///     match inbox.open(recognized, env)? {
///         Opened::New(invitation) => Ok(Some(invitation)),
///         Opened::Repeated => Ok(None),
///     }
/// }
/// ```
pub trait Inbox: Send {
    /// Makes a bundle and listens at its points.
    ///
    /// # Errors
    /// `Misuse` for a bundle that could not be used, `Unavailable` if the
    /// identity's key is out of reach.
    fn make_bundle(&mut self, spec: BundleSpec, env: &mut Env<'_>) -> Result<Bytes>;

    /// Whether a frame that routed nowhere is an invite for one of the bundles
    /// that name `point`.
    fn recognize(&self, point: &DeliveryPoint, tag: RoutingTag, body: &Bytes)
    -> Option<Recognized>;

    /// Opens and authenticates an invite.
    ///
    /// # Errors
    /// `Malformed`, or `Rejected` for what is not authentic, too old, or over
    /// the bound of its bundle.
    fn open(&mut self, recognized: Recognized, env: &mut Env<'_>) -> Result<Opened>;

    /// Ends a bundle: no further invite is opened with it, its keys are gone.
    fn revoke(&mut self, bundle: BundleId, env: &mut Env<'_>);

    /// Takes note of the time, at the latest when it asked to be woken.
    fn handle_time(&mut self, env: &mut Env<'_>);

    /// What is to be done. Call until it gives `None` after every call that
    /// takes `&mut self`.
    fn poll_output(&mut self) -> Option<InboxOutput>;
}

/// What [`Inbox::open`] found.
#[derive(Debug)]
pub enum Opened {
    /// An invite that was not seen before.
    New(Box<Invitation>),
    /// The bytes of one that was: nothing changed.
    Repeated,
}

/// What an inbox asks the driver to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum InboxOutput {
    /// Subscribe to a point.
    Listen(DeliveryPoint),
    /// No longer needs a point.
    Unlisten(DeliveryPoint),
    /// Store or delete one of its records.
    Record(RecordChange),
    /// Call [`Inbox::handle_time`] at this time; replaces an earlier one.
    WakeAt(Timestamp),
}

/// What a bundle is to say.
#[derive(Clone, Debug)]
pub struct BundleSpec {
    /// The bundle's id.
    pub id: BundleId,
    /// Where invites are sent, in order of preference.
    pub points: Vec<DeliveryPoint>,
    /// What conversation protocols contributed.
    pub offers: Vec<Offer>,
    /// The conversation protocols that the owner speaks, best first.
    pub conversation_protocols: Vec<ProtocolId>,
    /// The initialization protocols of all bundles that were made together with this
    /// one, best first: what a set that was tampered with lacks. Empty: says nothing.
    pub initializations: Vec<ProtocolId>,
    /// A name to show; a claim that nobody verified.
    pub display_name: String,
    /// Until when it may be used.
    pub expires_at: Timestamp,
    /// Whether one invite uses it up.
    pub one_time: bool,
    /// Its number under one link; it only grows.
    pub generation: u64,
}

/// What a verified bundle says.
#[derive(Clone, Debug)]
pub struct BundleInfo {
    /// Its content, as its owner specified it.
    pub spec: BundleSpec,
    /// Its owner, where the protocol authenticates one.
    pub owner: Option<ParticipantId>,
}

/// The frame that asks someone into a new conversation, before it is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The invite's id; the same when it is made anew.
    pub id: InviteId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The conversation protocol.
    pub conversation_protocol: ProtocolId,
    /// Where the specification of the protocol is, for who does not have it.
    pub specification: String,
    /// The conversation protocol's own parameters.
    pub parameters: Bytes,
    /// The recipient's offer that was used.
    pub offer: Option<OfferId>,
    /// The recipient's list that the protocol was chosen from.
    pub chosen_from: Vec<ProtocolId>,
    /// Where the sender listens for this conversation.
    pub points: Vec<DeliveryPoint>,
    /// The sender's own offers.
    pub offers: Vec<Offer>,
    /// When it was made.
    pub sent_at: Timestamp,
    /// A name to show; a claim that nobody verified.
    pub display_name: String,
}

/// An invite, sealed for one recipient.
#[derive(Clone, Debug)]
pub struct SealedInvite {
    /// What to publish to the bundle's points. Sent again as it is until the
    /// recipient answers.
    pub frame: Frame,
    /// Orders two invites that crossed: the lower goes on.
    pub precedence: [u8; 32],
}

/// What [`Inbox::recognize`] found out, for [`Inbox::open`].
#[derive(Clone)]
pub struct Recognized {
    /// The bundle that was used.
    pub bundle: BundleId,
    /// Where it arrived.
    pub point: DeliveryPoint,
    /// The protocol's own.
    pub state: Bytes,
}

impl fmt::Debug for Recognized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recognized")
            .field("bundle", &self.bundle)
            .finish_non_exhaustive()
    }
}

/// An opened and authenticated invite.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// What the sender sealed.
    pub invite: Invite,
    /// Who sent it; `None` where the protocol has no identity.
    pub from: Option<ParticipantId>,
    /// The secret that the conversation is made from.
    pub exported: Secret,
    /// Orders two invites that crossed: the lower goes on.
    pub precedence: [u8; 32],
    /// The bundle that it was made for.
    pub bundle: BundleId,
    /// Where it arrived.
    pub point: DeliveryPoint,
}
