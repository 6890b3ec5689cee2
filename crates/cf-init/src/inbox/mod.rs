//! `/cf/init/inbox/1`.

mod bundle;
mod invite;
mod recipient;
mod record;
mod schedule;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    BundleInfo, ConversationId, Env, Handshake, Identity, Inbox, InitializationProperties,
    InitializationProtocol, ProtocolId, Result, Timestamp,
};

use bundle::Bundle;
use recipient::Recipient;
use sender::Sender;

use crate::MIN_BODY_LEN;

/// The id of this protocol.
pub const INBOX: ProtocolId = ProtocolId::from_static("/cf/init/inbox/1");

/// The longest time that an invite may wait, and the default.
pub const MAX_RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How many invites a bundle takes unless told otherwise.
pub const DEFAULT_MAX_INVITES: u32 = 4096;

/// How many bundles an inbox keeps at once.
pub const MAX_BUNDLES: usize = 1024;

/// The longest bundle, in bytes.
pub const MAX_BUNDLE_LEN: usize = 32 * 1024;

/// What a bundle without offers has at least, in bytes.
const MIN_BUNDLE_LEN: usize = 1_500;

/// How far a sender's clock may be ahead.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// `/cf/init/inbox/1`: PQXDH with the sender's identity hidden.
///
/// An invite is confidential against an attacker who records it now and has a
/// quantum computer later; its authentication is classical.
#[derive(Clone, Copy, Debug)]
pub struct InboxProtocol {
    limits: Limits,
}

/// What a recipient bounds.
#[derive(Clone, Copy, Debug)]
struct Limits {
    retention: Duration,
    max_invites: u32,
}

impl InboxProtocol {
    /// The protocol with the longest retention and [`DEFAULT_MAX_INVITES`].
    pub const fn new() -> Self {
        Self {
            limits: Limits {
                retention: MAX_RETENTION,
                max_invites: DEFAULT_MAX_INVITES,
            },
        }
    }

    /// Sets how long an invite may wait in a delivery service; at most
    /// [`MAX_RETENTION`]. A bundle's private keys live so long after it expires.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.limits.retention = retention.min(MAX_RETENTION);
        self
    }

    /// Sets how many invites each bundle takes; further ones are refused.
    #[must_use]
    pub const fn with_max_invites(mut self, max_invites: u32) -> Self {
        self.limits.max_invites = max_invites;
        self
    }
}

impl Default for InboxProtocol {
    fn default() -> Self {
        Self::new()
    }
}

impl InitializationProtocol for InboxProtocol {
    fn id(&self) -> &ProtocolId {
        const { &INBOX }
    }

    fn read(&self, identity: &dyn Identity, bundle: &Bytes, now: Timestamp) -> Result<BundleInfo> {
        let bundle = Bundle::decode(bundle)?;
        bundle.verify(identity, now)?;
        Ok(BundleInfo {
            owner: Some(bundle.owner),
            spec: bundle.spec,
        })
    }

    fn initiate(
        &self,
        identity: &Arc<dyn Identity>,
        bundle: &Bytes,
        conversation: ConversationId,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Handshake>> {
        let bundle = Bundle::decode(bundle)?;
        bundle.verify(&**identity, env.now)?;
        Ok(Box::new(Sender::start(
            &**identity,
            &bundle,
            conversation,
            env,
        )?))
    }

    fn inbox(&self, identity: Arc<dyn Identity>, env: &mut Env<'_>) -> Result<Box<dyn Inbox>> {
        Ok(Box::new(Recipient::restore(identity, self.limits, env)?))
    }

    fn properties(&self) -> InitializationProperties {
        InitializationProperties {
            authenticated: true,
            hides_sender: true,
            forward_secret: true,
            post_quantum: true,
            min_bundle_len: MIN_BUNDLE_LEN,
            min_body_len: MIN_BODY_LEN,
        }
    }
}
