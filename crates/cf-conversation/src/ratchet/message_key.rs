use zeroize::Zeroizing;

use crate::Error;
use crate::crypto::{self, Extracted, Key};
use crate::label::Labels;

/// The secret of one frame.
///
/// It is never a key itself: key and nonce are HKDF(salt; this; `message`) with
/// the random salt of the payload, so that also a state restored from older
/// records repeats no pair.
#[derive(Clone, Debug)]
pub(crate) struct MessageKey(pub(crate) Key, pub(crate) &'static Labels);

impl MessageKey {
    /// Seals `buffer[from..]` in place.
    pub(crate) fn seal(
        &self,
        salt: &[u8; 16],
        additional: &[u8],
        buffer: &mut Vec<u8>,
        from: usize,
    ) {
        let (key, nonce) = self.pair(salt);
        crypto::seal(&key, &nonce, additional, buffer, from);
    }

    /// Opens a copy of `sealed`.
    pub(crate) fn open(
        &self,
        salt: &[u8; 16],
        additional: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let (key, nonce) = self.pair(salt);
        let mut buffer = sealed.to_vec();
        crypto::open(&key, &nonce, additional, &mut buffer)?;
        Ok(buffer)
    }

    /// HKDF(salt; this; `message`): key and nonce.
    pub(crate) fn pair(&self, salt: &[u8; 16]) -> (Zeroizing<[u8; 32]>, [u8; 12]) {
        let mut bytes = Zeroizing::new([0; 44]);
        Extracted::new(salt, self.0.expose()).expand(&[self.1.message], &mut bytes[..]);
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&bytes[..32]);
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&bytes[32..]);
        (key, nonce)
    }
}
