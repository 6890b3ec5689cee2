use bytes::Bytes;
use prost::Message;

use crate::Error;

/// Decodes what encodes to the same bytes again.
pub(crate) fn decode<M: Message + Default>(bytes: &Bytes) -> Result<M, Error> {
    let message = M::decode(bytes.clone()).map_err(|_| Error::Content)?;
    match message.encode_to_vec() == *bytes {
        true => Ok(message),
        false => Err(Error::Content),
    }
}
