//! Initialization protocols: how a Recipient learns that a client wants to
//! communicate.
//!
//! [`InboxProtocol`] is `/cf/init/inbox/1`: a hybrid post-quantum first contact
//! (PQXDH) that hides the sender, described in `docs/spec/init-inbox-1.md`.
//! [`PskProtocol`] is `/cf/init/psk/1`: a key that both have, and nothing else,
//! described in `docs/spec/init-psk-1.md`.
//!
//! ```
//! use std::sync::Arc;
//! use cf_core::*;
//! use cf_identity::SoftwareIdentity;
//! use cf_init::InboxProtocol;
//! # use cf_testkit::{RecordMap, SeededRandom};
//! # let mut random = SeededRandom::new(1);
//! # let now = Timestamp(1_767_225_600_000);
//! # let records = RecordMap::default();
//! # let mut env = Env { now, random: &mut random, records: &records };
//! # let saro: Arc<dyn Identity> = Arc::new(SoftwareIdentity::generate(env.random)?);
//! # let raya: Arc<dyn Identity> = Arc::new(SoftwareIdentity::generate(env.random)?);
//! # let point = DeliveryPoint {
//! #     locator: Locator::parse("memory:town")?,
//! #     address: DeliveryAddress::random(env.random),
//! #     framing: ProtocolId::parse("/cf/framing/tagged/1")?,
//! # };
//! # let spec = BundleSpec {
//! #     id: BundleId::random(env.random),
//! #     points: vec![point.clone()],
//! #     offers: vec![],
//! #     conversation_protocols: vec![],
//! #     initializations: vec![],
//! #     display_name: "Raya".into(),
//! #     expires_at: now.after(std::time::Duration::from_secs(86_400)),
//! #     one_time: false,
//! #     generation: 0,
//! # };
//! # let conversation = ConversationId::random(env.random);
//! # let invite = Invite {
//! #     id: InviteId::random(env.random),
//! #     conversation,
//! #     conversation_protocol: ProtocolId::parse("/example/1")?,
//! #     specification: String::new(),
//! #     parameters: "parameters".into(),
//! #     offer: None,
//! #     chosen_from: vec![],
//! #     points: vec![point.clone()],
//! #     offers: vec![],
//! #     sent_at: now,
//! #     display_name: "Saro".into(),
//! # };
//! let protocol = InboxProtocol::default();
//! let mut inbox = protocol.inbox(raya, &mut env)?;
//! let bundle = inbox.make_bundle(spec, &mut env)?;
//!
//! let handshake = protocol.initiate(&saro, &bundle, conversation, &mut env)?;
//! let exported = handshake.exported().clone();
//! let SealedInvite { frame, .. } = handshake.seal(&invite, &mut env)?;
//!
//! let recognized = inbox.recognize(&point, frame.tag, &frame.body).expect("it is for Raya");
//! let Opened::New(invitation) = inbox.open(recognized, &mut env)? else { panic!("it is new") };
//! assert_eq!(invitation.from.as_ref(), Some(saro.id()));
//! assert_eq!(invitation.exported.expose(), exported.expose());
//! # Ok::<(), cf_core::Error>(())
//! ```

mod crypto;
mod error;
mod inbox;
mod padded;
mod psk;
mod wire;

pub use error::InitError;
pub use inbox::{
    DEFAULT_MAX_INVITES, INBOX, InboxProtocol, MAX_BUNDLE_LEN, MAX_BUNDLES, MAX_RETENTION,
};
pub use padded::{MAX_BODY_LEN, MIN_BODY_LEN};
pub use psk::{PSK, PskProtocol};
