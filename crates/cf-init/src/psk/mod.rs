//! `/cf/init/psk/1`.

mod bundle;
mod recipient;
mod schedule;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    BundleInfo, ConversationId, Env, Handshake, Identity, Inbox, InitializationProperties,
    InitializationProtocol, ProtocolId, Result, Secret, Timestamp,
};

use bundle::Bundle;
use recipient::Recipient;
use schedule::Psk;
use sender::Sender;

use crate::{DEFAULT_MAX_INVITES, InitError, MAX_RETENTION, MIN_BODY_LEN};

/// The id of this protocol.
pub const PSK: ProtocolId = ProtocolId::from_static("/cf/init/psk/1");

/// `/cf/init/psk/1`: whoever has the shared key may invite and be invited.
///
/// There is no identity in it: an invitation comes from nobody in particular. The
/// key opens every invite that was ever sealed with it, so that it gives no forward
/// secrecy; what a conversation adds itself is not touched.
///
/// ```
/// use cf_core::{InitializationProtocol, Secret};
/// let protocol = cf_init::PskProtocol::new(Secret::new(vec![7; 32]))?;
/// assert_eq!(protocol.id().as_str(), "/cf/init/psk/1");
/// assert!(cf_init::PskProtocol::new(Secret::new(vec![7; 31])).is_err());
/// # Ok::<(), cf_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PskProtocol {
    psk: Psk,
    limits: Limits,
}

/// What a recipient bounds.
#[derive(Clone, Copy, Debug)]
struct Limits {
    retention: Duration,
    max_invites: u32,
}

impl PskProtocol {
    /// The length of a shared key, in bytes. They are as random as any key: no
    /// passphrase.
    pub const KEY_LEN: usize = 32;

    /// The protocol among those who have this key.
    ///
    /// # Errors
    /// `Misuse` unless it has [`Self::KEY_LEN`] bytes.
    pub fn new(key: Secret) -> Result<Self> {
        let len = key.expose().len();
        if len != Self::KEY_LEN {
            return Err(InitError::KeyLength { len }.into());
        }
        Ok(Self {
            psk: Psk::new(key),
            limits: Limits {
                retention: MAX_RETENTION,
                max_invites: DEFAULT_MAX_INVITES,
            },
        })
    }

    /// Sets how long an invite may wait in a delivery service; at most
    /// [`MAX_RETENTION`].
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.limits.retention = retention.min(MAX_RETENTION);
        self
    }

    /// Sets how many invites each bundle takes; further ones are refused.
    #[must_use]
    pub fn with_max_invites(mut self, max_invites: u32) -> Self {
        self.limits.max_invites = max_invites;
        self
    }

    /// Opens a bundle that may be used now.
    fn usable(&self, bundle: &Bytes, now: Timestamp) -> Result<Bundle, InitError> {
        let bundle = Bundle::open(&self.psk, bundle)?;
        match bundle.spec.expires_at < now {
            true => Err(InitError::Expired),
            false => Ok(bundle),
        }
    }
}

impl InitializationProtocol for PskProtocol {
    fn id(&self) -> &ProtocolId {
        const { &PSK }
    }

    fn read(&self, _: &dyn Identity, bundle: &Bytes, now: Timestamp) -> Result<BundleInfo> {
        Ok(BundleInfo {
            spec: self.usable(bundle, now)?.spec,
            owner: None,
        })
    }

    fn initiate(
        &self,
        _: &Arc<dyn Identity>,
        bundle: &Bytes,
        conversation: ConversationId,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Handshake>> {
        let bundle = self.usable(bundle, env.now)?;
        Ok(Box::new(Sender::start(
            &self.psk,
            &bundle,
            conversation,
            env,
        )))
    }

    fn inbox(&self, _: Arc<dyn Identity>, env: &mut Env<'_>) -> Result<Box<dyn Inbox>> {
        Ok(Box::new(Recipient::restore(
            self.psk.clone(),
            self.limits,
            env,
        )?))
    }

    fn properties(&self) -> InitializationProperties {
        InitializationProperties {
            hides_sender: true,
            post_quantum: true,
            min_body_len: MIN_BODY_LEN,
            ..InitializationProperties::default()
        }
    }
}
