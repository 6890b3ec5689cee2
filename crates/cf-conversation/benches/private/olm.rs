use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

use crate::Rival;

/// Two Olm sessions. Payloads are bytes, as they are on a wire.
pub(crate) struct Olm([Session; 2]);

/// Two accounts, the second with a one-time key.
pub(crate) fn begin() -> [Account; 2] {
    let mut accounts = [Account::new(), Account::new()];
    accounts[1].generate_one_time_keys(1);
    accounts
}

impl Olm {
    /// Creates, joins and brings the first message over: Olm joins by it.
    pub(crate) fn create_and_join([saro, mut raya]: [Account; 2], text: &[u8]) -> Self {
        let config = SessionConfig::version_1();
        let one_time = *raya.one_time_keys().values().next().expect("one was made");
        let created = saro.create_outbound_session(config, raya.curve25519_key(), one_time);
        let mut created = created.expect("the keys contribute");
        let first = created.encrypt(text).expect("a message");
        let OlmMessage::PreKey(first) = first else {
            unreachable!("the first message creates the session");
        };
        let joined = raya.create_inbound_session(config, saro.curve25519_key(), &first);
        Self([created, joined.expect("it is authentic").session])
    }

    pub(crate) fn settled() -> Self {
        let mut olm = Self::create_and_join(begin(), b"hello");
        for from in [1, 0, 1] {
            let wire = olm.send(from, b"hello");
            olm.receive(1 - from, &wire);
        }
        olm
    }
}

impl Rival for Olm {
    type Wire = (usize, Vec<u8>);

    fn send(&mut self, from: usize, text: &[u8]) -> Self::Wire {
        self.0[from].encrypt(text).expect("a message").to_parts()
    }

    fn receive(&mut self, to: usize, (kind, bytes): &Self::Wire) {
        let message = OlmMessage::from_parts(*kind, bytes).expect("a message");
        let text = self.0[to].decrypt(&message).expect("it is authentic");
        std::hint::black_box(text);
    }

    fn settle(&mut self) {}

    fn body_len((_, bytes): &Self::Wire) -> usize {
        bytes.len()
    }
}
