use crate::crypto::{Authenticator, Key};
use crate::label::Labels;

use super::message_key::MessageKey;

/// The secret of one chain at one number.
#[derive(Clone, Debug)]
pub(crate) struct ChainKey(pub(crate) Key, pub(crate) &'static Labels);

impl ChainKey {
    /// Gives the message key of this number and goes on to the next.
    pub(crate) fn advance(&mut self) -> MessageKey {
        let mac = Authenticator::new(self.0.expose());
        let message = MessageKey(Key::new(mac.code(self.1.message_key)), self.1);
        self.0 = Key::new(mac.code(self.1.chain_key));
        message
    }

    /// Goes on to the next number, whose message key is the next to be given.
    pub(crate) fn skip(&mut self) {
        let mac = Authenticator::new(self.0.expose());
        self.0 = Key::new(mac.code(self.1.chain_key));
    }
}
