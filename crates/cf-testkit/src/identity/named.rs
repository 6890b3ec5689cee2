use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    AgreementKey, Error, Identity, ParticipantId, ProtocolId, Result, Secret, Timestamp,
};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// An identity that is only a name: it keeps the laws of [`Identity`] and no
/// secret. Anybody can sign in its name and agree as it does.
///
/// For the tests of what needs an identity and does not test it.
pub struct NamedIdentity {
    id: ParticipantId,
    /// The latest time that it was asked for a key.
    time: Mutex<Timestamp>,
}

/// The prime of a group that is far too small to hide anything.
const PRIME: u64 = (1 << 61) - 1;
const GENERATOR: u64 = 3;
/// How long a key is the newest, in milliseconds; it is valid for as long again.
const PERIOD: u64 = 45 * 24 * 60 * 60 * 1000;
const MAX_VALIDITY: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const SCHEME: ProtocolId = ProtocolId::from_static("/cf/testkit/name/1");

impl NamedIdentity {
    /// Makes the identity of a name.
    ///
    /// # Panics
    /// If the name is no [`ParticipantId`].
    pub fn new(name: impl Into<Bytes>) -> Self {
        Self {
            id: ParticipantId::new(name).expect("a name is a participant id"),
            time: Mutex::default(),
        }
    }

    fn exponent(&self, period: u64) -> u64 {
        let hash = hash(&[b"exponent", self.id.as_bytes(), &period.to_be_bytes()]);
        // At least 2, and below the order of the group.
        number(&hash[..8]) % (PRIME - 3) + 2
    }

    fn public(&self, period: u64) -> [u8; 32] {
        encode(power(GENERATOR, self.exponent(period)))
    }
}

impl Identity for NamedIdentity {
    fn scheme(&self) -> &ProtocolId {
        static ID: ProtocolId = SCHEME;
        &ID
    }

    fn id(&self) -> &ParticipantId {
        &self.id
    }

    fn sign(&self, label: &str, bytes: &[u8]) -> Result<Bytes> {
        if label.contains('\0') {
            return Err(Error::misuse("a label holds no zero byte"));
        }
        Ok(signature(&self.id, label, bytes))
    }

    fn verify(
        &self,
        signer: &ParticipantId,
        label: &str,
        bytes: &[u8],
        found: &[u8],
    ) -> Result<()> {
        match signature(signer, label, bytes) == found && !label.contains('\0') {
            true => Ok(()),
            false => Err(Error::rejected("the signature does not hold")),
        }
    }

    fn agreement_key(&self, now: Timestamp) -> Result<AgreementKey> {
        let mut time = self.time.lock();
        *time = now.max(*time);
        let period = now.0 / PERIOD;
        let mut key = AgreementKey {
            public: self.public(period),
            not_before: Timestamp(period * PERIOD),
            not_after: Timestamp((period + 2) * PERIOD - 1),
            certificate: Bytes::new(),
        };
        key.certificate = certificate(&self.id, &key);
        Ok(key)
    }

    fn agree(&self, own: &[u8; 32], peer: &[u8; 32]) -> Result<Secret> {
        let now = self.time.lock().0 / PERIOD;
        let live = [Some(now), now.checked_sub(1)].into_iter().flatten();
        let period = live.into_iter().find(|period| self.public(*period) == *own);
        let period = period.ok_or(Error::misuse("not a live key of this identity"))?;
        let element = number(&peer[24..]);
        if peer[..24] != [0; 24] || !(2..PRIME - 1).contains(&element) {
            return Err(Error::rejected("the key does not contribute"));
        }
        let shared = power(element, self.exponent(period));
        Ok(Secret::new(
            hash(&[b"agree", &shared.to_be_bytes()]).to_vec(),
        ))
    }

    fn verify_agreement_key(
        &self,
        owner: &ParticipantId,
        key: &AgreementKey,
        now: Timestamp,
    ) -> Result<()> {
        let is_valid = key.not_before <= now && now <= key.not_after;
        let validity = key.not_after.since(key.not_before);
        match is_valid && validity <= MAX_VALIDITY && key.certificate == certificate(owner, key) {
            true => Ok(()),
            false => Err(Error::rejected("the certificate does not hold")),
        }
    }
}

fn certificate(owner: &ParticipantId, key: &AgreementKey) -> Bytes {
    let times = [
        key.not_before.0.to_be_bytes(),
        key.not_after.0.to_be_bytes(),
    ]
    .concat();
    let certified = [&key.public[..], &times].concat();
    signature(owner, "/cf/testkit/name/1 agreement key", &certified)
}

fn signature(signer: &ParticipantId, label: &str, bytes: &[u8]) -> Bytes {
    let len = (label.len() as u64).to_be_bytes();
    let parts = [
        b"sign",
        signer.as_bytes(),
        &len,
        label.as_bytes(),
        b"\0",
        bytes,
    ];
    Bytes::copy_from_slice(&hash(&parts))
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn encode(element: u64) -> [u8; 32] {
    let mut public = [0; 32];
    public[24..].copy_from_slice(&element.to_be_bytes());
    public
}

fn power(base: u64, mut exponent: u64) -> u64 {
    let prime = u128::from(PRIME);
    let (mut base, mut product) = (u128::from(base), 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            product = product * base % prime;
        }
        base = base * base % prime;
        exponent >>= 1;
    }
    product as u64
}
