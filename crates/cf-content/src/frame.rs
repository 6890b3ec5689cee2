use bytes::Bytes;
use prost::Message;

use crate::ContentError;
use crate::wire;

/// The domain of the types of this crate: the letters `cf`. Domains are numbered in
/// a registry of the family; this one is not entered there yet.
pub const DOMAIN: u32 = 0x6366;

/// A content of any domain: who defines its type, which type, and its bytes.
///
/// ```
/// use cf_content::ContentFrame;
/// let frame = ContentFrame { domain: 7, tag: 3, payload: "theirs".into() };
/// assert_eq!(ContentFrame::decode(&frame.encode())?, frame);
/// assert!(ContentFrame::decode(&"rubbish".into()).is_err());
/// # Ok::<(), cf_content::ContentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentFrame {
    /// Who defines the type.
    pub domain: u32,
    /// Which type it is, within the domain.
    pub tag: u32,
    /// The type's own bytes.
    pub payload: Bytes,
}

impl ContentFrame {
    /// Writes the frame.
    pub fn encode(&self) -> Bytes {
        let frame = wire::ContentFrame {
            domain_id: self.domain,
            tag: self.tag,
            payload: self.payload.clone(),
        };
        frame.encode_to_vec().into()
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// `Malformed` for what is no frame, or has no tag: all fields are required, and
    /// the tag is positive.
    pub fn decode(bytes: &Bytes) -> Result<Self, ContentError> {
        let malformed = ContentError::Malformed("no content frame");
        let frame = wire::ContentFrame::decode(bytes.clone()).map_err(|_| malformed.clone())?;
        match frame.tag {
            0 => Err(malformed),
            tag => Ok(Self {
                domain: frame.domain_id,
                tag,
                payload: frame.payload,
            }),
        }
    }
}
