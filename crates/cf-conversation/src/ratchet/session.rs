use bytes::Bytes;
use cf_core::padding::padded_len;
use cf_core::{Frame, Random, RoutingTag, Secret};

use crate::Error;
use crate::crypto::{Extracted, Key};
use crate::label::Labels;

use super::body::{Body, Sealing};
use super::chain_key::ChainKey;
use super::header::{Beginning, Header, HeaderKey};
use super::message_key::MessageKey;
use super::ratchet_key::RatchetKey;
use super::root_key::RootKey;
use super::skipped::MAX_SKIPPED;
use super::window::{MAX_AHEAD, NumberedChain};

/// The encryption state between two participants: Signal's Double Ratchet with
/// header encryption.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) root: RootKey,
    pub(crate) own: RatchetKey,
    pub(crate) send: SendChain,
    /// `None` at the initiator until the responder's first frame.
    pub(crate) receive: Option<ReceiveChain>,
    pub(crate) next_send: Key,
    pub(crate) next_receive: HeaderKey,
}

/// The chain that this side encrypts with.
#[derive(Clone, Debug)]
pub(crate) struct SendChain {
    pub(crate) chain: ChainKey,
    pub(crate) header: HeaderKey,
    /// The number of the next frame.
    pub(crate) number: u32,
    pub(crate) began: Beginning,
    /// The publish that had number 0.
    pub(crate) first_publish: u64,
    /// The frames below this number, the last at least, are known to be received.
    pub(crate) known: u32,
}

/// The chain that the peer encrypts with.
#[derive(Clone, Debug)]
pub(crate) struct ReceiveChain {
    /// At `next`.
    pub(crate) chain: ChainKey,
    pub(crate) header: HeaderKey,
    /// One above the highest number received.
    pub(crate) next: u32,
}

/// What both sides derive from the secret of the first contact.
pub(crate) struct Origin {
    pub(crate) root: RootKey,
    pub(crate) initiator_header: Key,
    pub(crate) responder_header: Key,
    pub(crate) session_id: [u8; 32],
    pub(crate) standing_tag: RoutingTag,
    pub(crate) exporter: Key,
}

impl Origin {
    pub(crate) fn new(exported: &Secret, labels: &'static Labels) -> Self {
        let extracted = Extracted::new(&[], exported.expose());
        let mut session_id = [0; 32];
        extracted.expand(&[labels.session_id], &mut session_id);
        let mut standing = [0; 16];
        extracted.expand(&[labels.standing_tag], &mut standing);
        Self {
            root: RootKey(extracted.key(labels.root_key), labels),
            initiator_header: extracted.key(labels.initiator_header_key),
            responder_header: extracted.key(labels.responder_header_key),
            session_id,
            standing_tag: RoutingTag(standing),
            exporter: extracted.key(labels.exporter),
        }
    }
}

/// Message keys that were passed over, and how many were not kept.
#[derive(Default)]
pub(crate) struct Passed {
    /// Of the last numbers, up to the end.
    pub(crate) keys: Vec<MessageKey>,
    pub(crate) dropped: u32,
}

/// What receiving a frame changes; nothing has changed before it is committed.
#[allow(
    clippy::large_enum_variant,
    reason = "the larger one is by far the more frequent"
)]
pub(crate) enum Step {
    /// A further frame of the peer's chain.
    Current {
        receive: ReceiveChain,
        passed: Passed,
    },
    /// The first frame that came of the peer's next chain.
    Next(Box<NextStep>),
}

pub(crate) struct NextStep {
    root: RootKey,
    receive: ReceiveChain,
    next_receive: HeaderKey,
    peer: [u8; 32],
    /// Of the chain before, up to its announced end.
    pub(crate) before: Passed,
    pub(crate) began: Beginning,
    /// Of the new chain.
    pub(crate) passed: Passed,
}

/// How the first chain of a side begins.
const FIRST: Beginning = Beginning {
    previous: 0,
    mixed: false,
};

impl Session {
    /// The initiator's, whose first chain uses the responder's offered key.
    pub(crate) fn initiate(
        origin: &Origin,
        offered: &[u8; 32],
        own: RatchetKey,
    ) -> Result<Self, Error> {
        let step = origin.root.step(&own.agree(offered)?, None);
        Ok(Self {
            root: step.root,
            own,
            send: SendChain::new(step.chain, origin.initiator_header.clone(), FIRST, 0),
            receive: None,
            next_send: step.next_header,
            next_receive: HeaderKey::new(origin.responder_header.clone(), origin.root.1),
        })
    }

    /// The responder's, who makes a step at once so that either may speak first.
    pub(crate) fn respond(
        origin: &Origin,
        offered: &RatchetKey,
        initiator: &[u8; 32],
        own: RatchetKey,
    ) -> Result<Self, Error> {
        let first = origin.root.step(&offered.agree(initiator)?, None);
        let second = first.root.step(&own.agree(initiator)?, None);
        Ok(Self {
            root: second.root,
            own,
            send: SendChain::new(second.chain, origin.responder_header.clone(), FIRST, 0),
            receive: Some(ReceiveChain {
                chain: first.chain,
                header: HeaderKey::new(origin.initiator_header.clone(), origin.root.1),
                next: 0,
            }),
            next_send: second.next_header,
            next_receive: HeaderKey::new(first.next_header, origin.root.1),
        })
    }

    /// Encrypts the next frame around what `write` appends, `len` bytes.
    pub(crate) fn seal(
        &mut self,
        salt: [u8; 16],
        standing: RoutingTag,
        context: &[u8],
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Frame {
        let send = &mut self.send;
        let tag = send.header.tag(send.number);
        let message_key = send.chain.advance();
        send.number += 1;
        let sealing = Sealing {
            salt,
            header_key: &send.header,
            header: Header {
                ratchet_key: *self.own.public(),
                began: send.began,
            },
            tag: &tag,
            message_key: &message_key,
            context,
        };
        let body = sealing.seal(padded_len(len + 1), write);
        Frame {
            tag,
            standing,
            body,
        }
    }

    /// Opens a frame with a number of one of the peer's chains that was not
    /// passed over yet; `shared` is what a step of the peer's may mix.
    pub(crate) fn open(
        &self,
        chain: NumberedChain,
        number: u32,
        tag: &RoutingTag,
        body: &Body<'_>,
        context: &[u8],
        shared: Option<&Key>,
    ) -> Result<(Bytes, Step), Error> {
        match (chain, &self.receive) {
            (NumberedChain::Current, Some(receive)) => {
                let mut receive = receive.clone();
                let passed = pass(&mut receive.chain, receive.next, number);
                let text = body.open(&receive.chain.advance(), tag, context)?;
                receive.next = number + 1;
                Ok((text, Step::Current { receive, passed }))
            }
            (NumberedChain::Current, None) => Err(Error::Rejected("there is no such chain")),
            (NumberedChain::Next, _) => self.open_next(number, tag, body, context, shared),
        }
    }

    fn open_next(
        &self,
        number: u32,
        tag: &RoutingTag,
        body: &Body<'_>,
        context: &[u8],
        shared: Option<&Key>,
    ) -> Result<(Bytes, Step), Error> {
        let header = self.next_receive.open(body.header, tag, &body.salt)?;
        let next = self.receive.as_ref().map_or(0, |receive| receive.next);
        let within = match self.receive {
            Some(_) => next..=next.saturating_add(MAX_AHEAD),
            None => 0..=0,
        };
        if !within.contains(&header.began.previous) {
            return Err(Error::Rejected("a chain can't have had this length"));
        }
        let shared = match header.began.mixed {
            true => {
                Some(shared.ok_or(Error::Rejected("a chain mixed a secret that there is not"))?)
            }
            false => None,
        };
        let step = (self.root).step(&self.own.agree(&header.ratchet_key)?, shared);
        let mut chain = step.chain;
        let passed = pass(&mut chain, 0, number);
        let text = body.open(&chain.advance(), tag, context)?;
        // Only what is authentic is worth the work of the chain before.
        let before = match &self.receive {
            Some(receive) => pass(&mut receive.chain.clone(), next, header.began.previous),
            None => Passed::default(),
        };
        let step = NextStep {
            root: step.root,
            receive: ReceiveChain {
                chain,
                header: self.next_receive.clone(),
                next: number + 1,
            },
            next_receive: HeaderKey::new(step.next_header, self.root.1),
            peer: header.ratchet_key,
            before,
            began: header.began,
            passed,
        };
        Ok((text, Step::Next(Box::new(step))))
    }

    /// Makes a step of the peer's and answers it with an own one, which mixes
    /// `shared`.
    pub(crate) fn commit_next(
        &mut self,
        step: &NextStep,
        random: &mut dyn Random,
        next_publish: u64,
        shared: Option<&Key>,
    ) -> Result<(), Error> {
        let own = RatchetKey::random(random);
        let answer = step.root.step(&own.agree(&step.peer)?, shared);
        let header = std::mem::replace(&mut self.next_send, answer.next_header);
        let began = Beginning {
            previous: self.send.number,
            mixed: shared.is_some(),
        };
        self.send = SendChain::new(answer.chain, header, began, next_publish);
        self.root = answer.root;
        self.own = own;
        self.receive = Some(step.receive.clone());
        self.next_receive = step.next_receive.clone();
        Ok(())
    }

    /// The header key of one of the peer's chains.
    pub(crate) fn header_key(&self, chain: NumberedChain) -> Option<&HeaderKey> {
        match chain {
            NumberedChain::Current => self.receive.as_ref().map(|receive| &receive.header),
            NumberedChain::Next => Some(&self.next_receive),
        }
    }
}

impl SendChain {
    fn new(chain: ChainKey, header: Key, began: Beginning, first_publish: u64) -> Self {
        Self {
            header: HeaderKey::new(header, chain.1),
            chain,
            number: 0,
            began,
            first_publish,
            known: 0,
        }
    }

    /// How many frames went out beyond the highest known to be received.
    pub(crate) fn unconfirmed(&self) -> u32 {
        self.number.saturating_sub(self.known)
    }

    /// Takes note that a publish was received; says whether that is news.
    pub(crate) fn received(&mut self, publish: u64) -> bool {
        let number = publish
            .checked_sub(self.first_publish)
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| *number < self.number);
        match number {
            Some(number) if number >= self.known => {
                self.known = number + 1;
                true
            }
            _ => false,
        }
    }
}

/// Passes over the numbers from `from` up to `to`, keeping the keys of the last
/// [`MAX_SKIPPED`].
fn pass(chain: &mut ChainKey, from: u32, to: u32) -> Passed {
    let count = to.saturating_sub(from);
    let dropped = count.saturating_sub(MAX_SKIPPED as u32);
    for _ in 0..dropped {
        chain.skip();
    }
    Passed {
        keys: (dropped..count).map(|_| chain.advance()).collect(),
        dropped,
    }
}
