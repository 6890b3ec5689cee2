//! Conversation protocols: how participants exchange content.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    BundleSet, Condition, Content, ContentId, ConversationEvent, ConversationId, Cursor,
    DeliveryPoint, Env, Frame, Identity, OfferId, Outcome, ParticipantId, PointInfo, ProtocolId,
    RecordChange, Result, RoutingTag, Secret, Signal, Tag, Timestamp,
};

/// Makes conversations: contributes offers, creates, joins, restores.
///
/// A *wrapper* (reliability, segments) is a conversation protocol around any
/// `Arc<dyn ConversationProtocol>`.
///
/// # Laws
/// CHAT-FRAMEWORK, "Conversation": it defines its payloads and how they are
/// handled, and outlines its cryptographic properties.
/// - What [`create`](Self::create) made and what [`join`](Self::join) makes of
///   its parameters exchange content, both ways where
///   [`Properties::bidirectional`] is declared.
/// - [`restore`](Self::restore) from the records that were put out gives an
///   instance that behaves as the one before, and puts out the listens, expects
///   and wake that are in force.
/// - [`Properties`] are kept.
///
/// ```
/// use std::sync::Arc;
/// use cf_core::*;
///
/// /// What a driver does with any conversation protocol.
/// fn say(conversation: &mut dyn Conversation, text: &'static str, env: &mut Env<'_>)
///     -> Result<Vec<Publish>>
/// {
///     let id = ContentId::new(env.draw::<16>().to_vec())?;
///     let content = Content::Bytes(text.into());
///     conversation.handle(Input::Send { id: Some(id), content }, env)?;
///     let mut publishes = Vec::new();
///     while let Some(output) = conversation.poll_output() {
///         if let Output::Publish(publish) = output {
///             publishes.push(publish);
///         }
///     }
///     Ok(publishes)
/// }
/// ```
pub trait ConversationProtocol: Send + Sync {
    /// The protocol of these conversations.
    fn id(&self) -> &ProtocolId;

    /// Where the specification is, shown to who does not have the protocol.
    fn specification(&self) -> &str;

    /// What the protocol promises.
    fn properties(&self) -> Properties;

    /// Makes the part of an introduction bundle that this protocol needs;
    /// `None` if it needs none.
    ///
    /// # Errors
    /// `Unavailable` if the identity's key is out of reach.
    fn make_offer(&self, request: OfferRequest, env: &mut Env<'_>) -> Result<Option<MadeOffer>>;

    /// Makes a new conversation.
    ///
    /// # Errors
    /// `Misuse` if `setup` lacks what the protocol needs, `Unsupported` if the
    /// delivery points lack a capability, `Rejected` for a hostile offer.
    fn create(&self, setup: Setup, env: &mut Env<'_>) -> Result<Created>;

    /// Joins the conversation of an invite.
    ///
    /// # Errors
    /// `Malformed` or `Rejected` for its parameters, otherwise as
    /// [`create`](Self::create).
    fn join(&self, setup: Setup, env: &mut Env<'_>) -> Result<Box<dyn Conversation>>;

    /// Makes the instance again that [`Env::records`] holds.
    ///
    /// # Errors
    /// `Unsupported` for records of a newer version, `Other` for damaged ones.
    fn restore(
        &self,
        conversation: ConversationId,
        identity: Arc<dyn Identity>,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Conversation>>;
}

/// A conversation: participants and state.
///
/// # Laws
/// - **An input that gives an error leaves the state exactly as it was**, and
///   puts nothing out.
/// - An input that it does not know gives `Unsupported`.
/// - No two frames that it puts out use one key and nonce for different bytes,
///   also if it is restored from records older than its last outputs.
/// - A content is told at most once, and as delivered only when it was.
/// - After [`Input::Supersede`] every content without a final state is put out as
///   [`Output::Unsent`] once; content sent afterwards is `Misuse`.
///
/// ```
/// use cf_core::*;
///
/// /// The texts that a frame brings.
/// fn hear(conversation: &mut dyn Conversation, frame: Incoming, env: &mut Env<'_>)
///     -> Result<Vec<Content>>
/// {
///     conversation.handle(Input::Frame(frame), env)?;
///     let mut heard = Vec::new();
///     while let Some(output) = conversation.poll_output() {
///         if let Output::Event(ConversationEvent::Content { content, .. }) = output {
///             heard.push(content);
///         }
///     }
///     Ok(heard)
/// }
/// ```
pub trait Conversation: Send {
    /// Takes an input.
    ///
    /// # Errors
    /// `Malformed` or `Rejected` for a frame that is not good, `Unavailable` for
    /// one that can't be judged yet: it is kept, and comes again when its tag is
    /// expected anew. `Unavailable` for content that can't be taken now, `Misuse`
    /// for content that never can.
    fn handle(&mut self, input: Input, env: &mut Env<'_>) -> Result<()>;

    /// What is to be done. Call until it gives `None` after every call that
    /// takes `&mut self`, and after create, join and restore.
    fn poll_output(&mut self) -> Option<Output>;

    /// Derives a secret that both sides of the present session can, to bind an
    /// upgrade to it.
    ///
    /// # Errors
    /// `Unsupported` where the protocol has no secret.
    fn export(&self, label: &str) -> Result<Secret>;
}

/// What goes into a conversation.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// Content to send. Without an id it is a wrapper's own frame, whose state
    /// nobody asks for.
    Send {
        /// The application's id of it.
        id: Option<ContentId>,
        /// The content.
        content: Content,
    },
    /// A frame that was routed here.
    Frame(Incoming),
    /// A frame at one of its points that routed nowhere. The instance may
    /// expect up to `budget` further tags; if the frame's is among them, the
    /// frame comes again as [`Input::Frame`].
    Miss {
        /// Where it arrived.
        point: DeliveryPoint,
        /// Its place at its address, where the service has cursors.
        cursor: Option<Cursor>,
        /// Its tag.
        tag: RoutingTag,
        /// How many tags the instance may derive.
        budget: u32,
    },
    /// What became of a publish at one of its points: accepted, refused,
    /// conflict, or (only of a conditional one) unknown. The driver itself
    /// repeats what is queued or unavailable.
    Outcome {
        /// The publish.
        publish: PublishId,
        /// The point.
        point: DeliveryPoint,
        /// What became of it.
        outcome: Outcome,
    },
    /// From a wrapper: a peer has received this publish.
    Received(PublishId),
    /// Its own points changed, or what they can do.
    OwnPoints(Vec<PointInfo>),
    /// A peer's points changed, or what they can do.
    PeerPoints {
        /// The peer, `None` if there is only one.
        peer: Option<ParticipantId>,
        /// Its points.
        points: Vec<PointInfo>,
    },
    /// Someone to invite, with the offer that their bundle has for this protocol.
    Candidate(Peer),
    /// A part of content that was given by handle, asked for with
    /// [`Output::WantChunk`]; an empty one if it can't be read any more.
    Chunk {
        /// Which content.
        content: ContentId,
        /// Where the part starts, in bytes.
        offset: u64,
        /// The part.
        bytes: Bytes,
    },
    /// How many bytes of large contents there is room for, beside those of which a
    /// part has come. One of a peer's that is longer is not taken, and its author is
    /// told. Without limit until it is said, and after every restart.
    Room(u64),
    /// The application has shown a content that came: its author may be told.
    Read {
        /// The content's author.
        from: Option<ParticipantId>,
        /// The author's id of it.
        content: ContentId,
    },
    /// The user has begun to write, or has stopped.
    Typing(bool),
    /// How this client is asked into a new session. Every peer is to learn it;
    /// replaces an earlier one.
    Contact(BundleSet),
    /// Another instance of this conversation sends from now on. What is not known
    /// to be received comes out as [`Output::Unsent`]; no content is taken any
    /// more. What peers have sent is still received and acknowledged.
    Supersede,
    /// The time asked for with [`Output::WakeAt`] has come.
    Time,
    /// The application ends the conversation.
    Close,
}

/// What comes out of a conversation.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Publish a frame.
    Publish(Publish),
    /// No longer publish a frame, where no service has it yet.
    Withdraw(PublishId),
    /// Subscribe to a point: from the earliest payload that is retained, or
    /// where this client stopped there.
    Listen(DeliveryPoint),
    /// No longer needs a point.
    Unlisten(DeliveryPoint),
    /// Route frames with this tag here.
    Expect(Tag),
    /// No longer route frames with this tag here.
    Forget(Tag),
    /// Ask a candidate in, by the initialization that its bundle names.
    Invite(OutgoingInvite),
    /// A peer that was invited has shown that it joined.
    Answered(PeerId),
    /// Tell the application.
    Event(ConversationEvent),
    /// Store or delete one of its records.
    Record(RecordChange),
    /// Give [`Input::Time`] at this time; replaces an earlier one.
    WakeAt(Timestamp),
    /// A content for the instance that superseded this one, in the order of
    /// sending. A peer may have received it.
    Unsent {
        /// The application's id of it.
        id: ContentId,
        /// The content.
        content: Content,
    },
    /// How a peer is asked into a new session, as that peer says.
    Contact {
        /// The peer, `None` if there is only one.
        peer: Option<ParticipantId>,
        /// Its bundles.
        bundles: BundleSet,
    },
    /// The session is broken, here or at the peer: only a new one helps.
    Renew,
    /// Tell the application now, if it is there, and never again.
    Signal(Signal),
    /// Keep a part of a large content that a peer sends, until the application
    /// lets go of it. All its parts come before its [`ConversationEvent::Content`].
    Chunk {
        /// Its author.
        from: Option<ParticipantId>,
        /// The author's id of it.
        content: ContentId,
        /// How long all of it is, in bytes.
        len: u64,
        /// Where the part starts, in bytes.
        offset: u64,
        /// The part.
        bytes: Bytes,
    },
    /// Let go of the parts of a large content that will never be whole.
    DropChunks {
        /// Its author.
        from: Option<ParticipantId>,
        /// The author's id of it.
        content: ContentId,
    },
    /// Give [`Input::Chunk`] with this part of a content. It is within the content's
    /// length, and the same bytes each time that it is asked for.
    WantChunk {
        /// Which content.
        content: ContentId,
        /// Where the part starts, in bytes.
        offset: u64,
        /// How long it is, in bytes.
        len: u32,
    },
}

/// A frame that arrived.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Where.
    pub point: DeliveryPoint,
    /// Its place at its address, where the service has cursors.
    pub cursor: Option<Cursor>,
    /// Its tag.
    pub tag: RoutingTag,
    /// Its body.
    pub body: Bytes,
}

/// A frame to publish.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Names it within the instance. An id that is still being published is not
    /// published twice.
    pub id: PublishId,
    /// Where to, in order of preference.
    pub points: Vec<DeliveryPoint>,
    /// To how many of them.
    pub spread: Spread,
    /// Publish only if this holds; with one point only.
    pub condition: Option<Condition>,
    /// The frame.
    pub frame: Frame,
    /// The content that it carries, if it carries one.
    pub content: Option<ContentId>,
}

/// Names a publish within an instance; never used again for other bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublishId(pub u64);

/// To how many of its points a frame is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// To every one.
    All,
    /// To the first that accepts it.
    First,
}

/// An invite that a conversation asks to be sent.
#[derive(Clone, Debug)]
pub struct OutgoingInvite {
    /// Whom.
    pub peer: PeerId,
    /// The parameters for [`ConversationProtocol::join`]; confidential.
    pub parameters: Bytes,
}

/// Names a peer within an instance, from candidate to participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// Another participant, or someone who is to become one.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Names it within the instance.
    pub id: PeerId,
    /// Who it is, as the initialization authenticated; `None` where there is no
    /// identity.
    pub participant: Option<ParticipantId>,
    /// Its offer for this conversation protocol.
    pub offer: Option<Offer>,
    /// Where to send to it.
    pub points: Vec<PointInfo>,
}

/// What a conversation is made from.
#[derive(Clone)]
pub struct Setup {
    /// The conversation's id, the application's name for it.
    pub conversation: ConversationId,
    /// This participant.
    pub identity: Arc<dyn Identity>,
    /// The other one: whose bundle it is (create), who sent the invite (join).
    /// `None` if the conversation starts alone.
    pub peer: Option<Peer>,
    /// The secret of the first contact; `None` if there was none.
    pub exported: Option<Secret>,
    /// The secret part of the own offer that the invite used (join).
    pub offer_secret: Option<Secret>,
    /// From the application (create) or from the invite (join).
    pub parameters: Bytes,
    /// Fresh points of its own where it may listen, best first.
    pub points: Vec<PointInfo>,
    /// Where the invite arrived (join): the peer sends there until it learns of
    /// a point of this conversation.
    pub arrived_at: Option<PointInfo>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("conversation", &self.conversation)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// A conversation that was made, and what its invite carries.
pub struct Created {
    /// The instance.
    pub conversation: Box<dyn Conversation>,
    /// The parameters for [`ConversationProtocol::join`]; confidential.
    pub parameters: Bytes,
}

/// The part of a bundle that one conversation protocol contributed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The conversation protocol.
    pub protocol: ProtocolId,
    /// Names the offer, for the invite that uses it.
    pub id: OfferId,
    /// The protocol's own; public.
    pub public: Bytes,
    /// Until when it may be used.
    pub expires_at: Timestamp,
    /// Whether one invite uses it up.
    pub one_time: bool,
}

/// What an offer is to be.
#[derive(Clone)]
pub struct OfferRequest {
    /// Whose it is.
    pub identity: Arc<dyn Identity>,
    /// Until when it may be used.
    pub expires_at: Timestamp,
    /// Whether one invite uses it up.
    pub one_time: bool,
}

/// An offer and what its owner keeps.
#[derive(Clone, Debug)]
pub struct MadeOffer {
    /// The public part.
    pub offer: Offer,
    /// What comes back as [`Setup::offer_secret`].
    pub secret: Secret,
}

/// What a conversation protocol promises and needs, as data. Everything not
/// declared is not promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Only participants read content.
    pub confidential: bool,
    /// The author of content is known.
    pub authenticated: bool,
    /// A state that is stolen does not open earlier frames.
    pub forward_secret: bool,
    /// A state that was stolen is useless after the next exchange.
    pub post_compromise_secure: bool,
    /// Healing holds against a quantum attacker as well.
    pub post_quantum_healing: bool,
    /// No one can prove to a third party who wrote what.
    pub deniable: bool,
    /// No bytes of two payloads link them for who holds no key.
    pub unlinkable: bool,
    /// Content is delivered in spite of loss, or its failure told.
    pub reliable: bool,
    /// Every participant may send.
    pub bidirectional: bool,
    /// The most participants; `None` if there is no bound.
    pub max_participants: Option<u32>,
    /// Needs [`Capabilities::conditional_publish`](crate::Capabilities) and order.
    pub needs_conditional_publish: bool,
    /// Expects [`Tag::SingleUse`] tags; a framing has to route by these or by the
    /// standing ones, where one of both is declared.
    pub single_use_tags: bool,
    /// Expects [`Tag::Standing`] tags.
    pub standing_tags: bool,
    /// The length of the body of its shortest frame, in bytes; 0 if not declared.
    pub min_body_len: usize,
}
