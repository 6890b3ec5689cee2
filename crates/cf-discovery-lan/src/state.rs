//! What is stored by the client between two advertisements:
//!
//! ```text
//! 1 ‖ lp(name) ‖ lp(link) ‖ lp(discovery) ‖ (0 | 1 ‖ state of the discovery)
//! ```
//!
//! `lp(x)` is x with its length in two big-endian bytes in front.

use cf_core::{ProtocolId, Secret};

use crate::{Announcement, Error};

const VERSION: u8 = 1;

/// What is announced, and by which discovery its link was made.
pub(crate) struct State {
    pub(crate) announcement: Announcement,
    pub(crate) discovery: ProtocolId,
    pub(crate) inner: Option<Secret>,
}

impl State {
    pub(crate) fn encode(&self) -> Secret {
        let mut bytes = vec![VERSION];
        let (name, link) = (self.announcement.name(), self.announcement.link());
        for text in [name, link, self.discovery.as_str()] {
            // None of the three is as long as 65,535 bytes.
            let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
            bytes.extend(len.to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.push(u8::from(self.inner.is_some()));
        bytes.extend(self.inner.iter().flat_map(|inner| inner.expose()));
        Secret::new(bytes)
    }

    pub(crate) fn decode(state: &Secret) -> Result<Self, Error> {
        Self::read(state.expose()).ok_or(Error::ForeignState)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (VERSION, rest) = bytes.split_first().map(|(first, rest)| (*first, rest))? else {
            return None;
        };
        let (name, rest) = text(rest)?;
        let (link, rest) = text(rest)?;
        let (discovery, rest) = text(rest)?;
        let inner = match rest.split_first()? {
            (0, []) => None,
            (1, inner) => Some(Secret::from(inner)),
            _ => return None,
        };
        Some(Self {
            announcement: Announcement::new(name, link).ok()?,
            discovery: ProtocolId::parse(discovery).ok()?,
            inner,
        })
    }
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}
