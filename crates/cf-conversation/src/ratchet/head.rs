//! The head record: the keys of a session, written at each frame and so of a
//! fixed layout.
//!
//! ```text
//! version (1) ‖ next publish (8) ‖ root key (32) ‖ ratchet key, secret and public (64)
//! ‖ next sending header key (32) ‖ next receiving header key (32)
//! ‖ sending: chain key (32), header key (32), number (4), how it began (4), first publish (8), known (4)
//! ‖ receiving, if there is a chain: chain key (32), header key (32), next (4)
//! ```

use bytes::Bytes;

use crate::Error;
use crate::crypto::Key;
use crate::label::Labels;

use super::chain_key::ChainKey;
use super::header::{Beginning, HeaderKey};
use super::ratchet_key::RatchetKey;
use super::root_key::RootKey;
use super::session::{ReceiveChain, SendChain, Session};

/// The version of the layout.
const VERSION: u8 = 1;

/// Above every number of a frame, so that a damaged record overflows nothing.
const MAX_NUMBER: u32 = 1 << 31;

/// Above every number of a publish.
const MAX_PUBLISH: u64 = 1 << 62;

/// The key of the record.
pub(crate) const KEY: &[u8] = b"h";

pub(crate) fn encode(session: &Session, next_publish: u64) -> Bytes {
    let Session { send, own, .. } = session;
    let mut head = Vec::with_capacity(384);
    head.push(VERSION);
    head.extend_from_slice(&next_publish.to_be_bytes());
    head.extend_from_slice(session.root.0.expose());
    head.extend_from_slice(own.secret());
    head.extend_from_slice(own.public());
    head.extend_from_slice(session.next_send.expose());
    head.extend_from_slice(session.next_receive.key().expose());
    head.extend_from_slice(send.chain.0.expose());
    head.extend_from_slice(send.header.key().expose());
    head.extend_from_slice(&send.number.to_be_bytes());
    head.extend_from_slice(&send.began.to_bytes());
    head.extend_from_slice(&send.first_publish.to_be_bytes());
    head.extend_from_slice(&send.known.to_be_bytes());
    if let Some(receive) = &session.receive {
        head.extend_from_slice(receive.chain.0.expose());
        head.extend_from_slice(receive.header.key().expose());
        head.extend_from_slice(&receive.next.to_be_bytes());
    }
    head.into()
}

/// Gives the session and the next publish.
pub(crate) fn decode(
    head: &[u8],
    labels: &'static Labels,
) -> Result<(Session, u64), cf_core::Error> {
    let mut rest = Rest(head);
    let [version] = rest.take()?;
    if version > VERSION {
        return Err(Error::Unsupported("a conversation of a newer version").into());
    }
    let next_publish = u64::from_be_bytes(rest.take()?);
    let root = RootKey(Key::new(rest.take()?), labels);
    let own = RatchetKey::from_parts(rest.take()?, rest.take()?);
    let next_send = Key::new(rest.take()?);
    let next_receive = HeaderKey::new(Key::new(rest.take()?), labels);
    let send = SendChain {
        chain: ChainKey(Key::new(rest.take()?), labels),
        header: HeaderKey::new(Key::new(rest.take()?), labels),
        number: u32::from_be_bytes(rest.take()?),
        began: Beginning::from_bytes(rest.take()?),
        first_publish: u64::from_be_bytes(rest.take()?),
        known: u32::from_be_bytes(rest.take()?),
    };
    let receive = match rest.0.is_empty() {
        true => None,
        false => Some(ReceiveChain {
            chain: ChainKey(Key::new(rest.take()?), labels),
            header: HeaderKey::new(Key::new(rest.take()?), labels),
            next: u32::from_be_bytes(rest.take()?),
        }),
    };
    if !rest.0.is_empty() {
        return Err(Error::Records("the head is too long").into());
    }
    let numbers = [
        send.number,
        send.began.previous,
        send.known,
        receive.as_ref().map_or(0, |receive| receive.next),
    ];
    let is_good = numbers.iter().all(|number| *number < MAX_NUMBER)
        && send.known <= send.number
        && send.first_publish <= next_publish
        && next_publish < MAX_PUBLISH;
    if !is_good {
        return Err(Error::Records("a number in the head").into());
    }
    let session = Session {
        root,
        own,
        send,
        receive,
        next_send,
        next_receive,
    };
    Ok((session, next_publish))
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (first, rest) = self
            .0
            .split_first_chunk()
            .ok_or(Error::Records("the head is too short"))?;
        self.0 = rest;
        Ok(*first)
    }
}
