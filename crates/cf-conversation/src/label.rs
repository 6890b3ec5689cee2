//! Every label of a derivation, as on the specification pages: the protocol id,
//! a space, the purpose. Each is used for one purpose only, and no two protocols
//! share one, so that no key serves both.

use std::fmt;

/// The labels of one protocol. Secrets carry those that they are derived under.
pub(crate) struct Labels {
    protocol: &'static str,

    // From the secret of the first contact.
    pub(crate) root_key: &'static [u8],
    pub(crate) initiator_header_key: &'static [u8],
    pub(crate) responder_header_key: &'static [u8],
    pub(crate) session_id: &'static [u8],
    pub(crate) standing_tag: &'static [u8],
    pub(crate) exporter: &'static [u8],

    // From the exporter secret.
    pub(crate) export: &'static [u8],

    // From a root key and a Diffie-Hellman result.
    pub(crate) ratchet: &'static [u8],

    // From a chain key.
    pub(crate) chain_key: &'static [u8],
    pub(crate) message_key: &'static [u8],

    // From a header key.
    pub(crate) tag: &'static [u8],
    pub(crate) header: &'static [u8],

    // From a message key.
    pub(crate) message: &'static [u8],
}

macro_rules! labels {
    ($protocol:literal) => {
        Labels {
            protocol: $protocol,
            root_key: concat!($protocol, " root key").as_bytes(),
            initiator_header_key: concat!($protocol, " initiator header key").as_bytes(),
            responder_header_key: concat!($protocol, " responder header key").as_bytes(),
            session_id: concat!($protocol, " session id").as_bytes(),
            standing_tag: concat!($protocol, " standing tag").as_bytes(),
            exporter: concat!($protocol, " exporter").as_bytes(),
            export: concat!($protocol, " export").as_bytes(),
            ratchet: concat!($protocol, " ratchet").as_bytes(),
            chain_key: concat!($protocol, " chain key").as_bytes(),
            message_key: concat!($protocol, " message key").as_bytes(),
            tag: concat!($protocol, " tag").as_bytes(),
            header: concat!($protocol, " header").as_bytes(),
            message: concat!($protocol, " message").as_bytes(),
        }
    };
}

/// Of `/cf/conversation/private/1` and the ratchet within it.
pub(crate) static PRIVATE_1: Labels = labels!("/cf/conversation/private/1");

/// Of `/cf/conversation/private/2` and the ratchet within it.
pub(crate) static PRIVATE_2: Labels = labels!("/cf/conversation/private/2");

/// From a root key, a Diffie-Hellman result and a secret of ML-KEM: only
/// private/2 has such steps.
pub(crate) const HEALING: &[u8] = b"/cf/conversation/private/2 healing";

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol)
    }
}
