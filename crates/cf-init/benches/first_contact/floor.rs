//! What a first contact costs bare: the signatures, agreements, encapsulations,
//! derivations and seals of the specification on the same lengths, by the same crates,
//! and nothing else.

use std::hint::black_box;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use ml_kem::kem::Decapsulate;
use ml_kem::{DecapsulationKey, EncapsulationKey, KeyExport, MlKem768};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

const HEAD_LEN: usize = 32 + 16 + 1088;
const IDENTITY_LEN: usize = 384;
const LABEL: &[u8] = b"/cf/init/inbox/1 a label";

/// Both people's keys; nothing is checked against anything.
pub(crate) struct Floor {
    own: StaticSecret,
    prekey: StaticSecret,
    peer: PublicKey,
    signing: SigningKey,
    verifying: [u8; 32],
    signature: [u8; 64],
    kem_seed: [u8; 64],
    kem_key: [u8; 1184],
    /// As long as a signed bundle, and as a certified key.
    bundle: Vec<u8>,
    certified: Vec<u8>,
    certificate: [u8; 64],
    invite: Vec<u8>,
    counter: u64,
}

/// A body and what opens it.
pub(crate) struct Sealed {
    ephemeral: PublicKey,
    ciphertext: [u8; 1088],
    head: Vec<u8>,
    identity: Vec<u8>,
    invite: Vec<u8>,
}

/// What the sender has between its two steps.
pub(crate) struct Begun {
    ephemeral: PublicKey,
    ciphertext: [u8; 1088],
    head: Vec<u8>,
    identity: Vec<u8>,
    t1: [u8; 32],
    secret: [u8; 32],
}

impl Floor {
    /// Around a bundle of so many signed bytes and an invite of so many padded ones.
    pub(crate) fn new(bundle_len: usize, invite_len: usize) -> Self {
        let signing = SigningKey::from_bytes(&[1; 32]);
        let own = StaticSecret::from([2; 32]);
        let kem = DecapsulationKey::<MlKem768>::from_seed([4; 64].into());
        // What a signature is over begins with a label.
        let (bundle, certified) = (vec![5; bundle_len + 24], vec![6; 48 + 37]);
        Self {
            peer: PublicKey::from(&own),
            prekey: StaticSecret::from([3; 32]),
            own,
            verifying: signing.verifying_key().to_bytes(),
            signature: signing.sign(&bundle).to_bytes(),
            certificate: signing.sign(&certified).to_bytes(),
            signing,
            kem_seed: [4; 64],
            kem_key: kem.encapsulation_key().to_bytes().into(),
            bundle,
            certified,
            invite: vec![7; invite_len],
            counter: 0,
        }
    }

    pub(crate) fn bundle(&mut self) {
        let prekey = StaticSecret::from(self.draw());
        black_box(PublicKey::from(&prekey));
        let mut seed = [0; 64];
        seed[..32].copy_from_slice(&self.draw());
        let kem = DecapsulationKey::<MlKem768>::from_seed(seed.into());
        black_box(kem.encapsulation_key().to_bytes());
        black_box(self.signing.sign(&self.bundle));
    }

    pub(crate) fn initiate(&mut self) -> Begun {
        verify(&self.verifying, &self.bundle, &self.signature);
        verify(&self.verifying, &self.certified, &self.certificate);
        let secret = StaticSecret::from(self.draw());
        let ephemeral = PublicKey::from(&secret);
        let kem = EncapsulationKey::<MlKem768>::new(&self.kem_key.into()).expect("a key");
        let (ciphertext, ss) = kem.encapsulate_deterministic(&self.draw().into());
        let dh = [
            secret.diffie_hellman(&self.peer),
            secret.diffie_hellman(&self.peer),
            self.own.diffie_hellman(&self.peer),
        ];
        let dh: Vec<u8> = dh.iter().flat_map(|dh| *dh.as_bytes()).collect();
        let head = [ephemeral.as_bytes(), &[0; 16][..], &ciphertext].concat();
        let (t0, key) = self.unidentified(&dh[..64], &ss, &head);
        let identity = seal(&key, &[8; IDENTITY_LEN], &t0);
        let (t1, secret) = identified(&t0, &dh, &ss, &identity);
        black_box(derive::<32>(&t1, &secret));
        Begun {
            ephemeral,
            ciphertext: ciphertext.into(),
            head,
            identity,
            t1,
            secret,
        }
    }

    pub(crate) fn seal(&mut self, begun: Begun) -> Sealed {
        let key = derive::<44>(&begun.t1, &begun.secret);
        let invite = seal(&key, &self.invite, &begun.t1);
        let key = derive::<44>(&[0; 16], &[9; 16]);
        let head = seal(&key, &begun.head, &[]);
        black_box(hash(&[&begun.t1, &invite]));
        black_box([&head[..], &begun.identity, &invite].concat());
        Sealed {
            ephemeral: begun.ephemeral,
            ciphertext: begun.ciphertext,
            head,
            identity: begun.identity,
            invite,
        }
    }

    pub(crate) fn recognize(&self, sealed: &Sealed) {
        let key = derive::<44>(&[0; 16], &[9; 16]);
        black_box(open(&key, &sealed.head, &[]));
    }

    pub(crate) fn open(&self, sealed: &Sealed) {
        // Each agreement of the recipient's, on points that are good.
        let dh = [
            self.own.diffie_hellman(&sealed.ephemeral),
            self.own.diffie_hellman(&sealed.ephemeral),
            self.prekey.diffie_hellman(&self.peer),
        ];
        black_box(dh[2].as_bytes());
        let dh: Vec<u8> = [&dh[0], &dh[1], &dh[0]]
            .iter()
            .flat_map(|dh| *dh.as_bytes())
            .collect();
        let kem = DecapsulationKey::<MlKem768>::from_seed(self.kem_seed.into());
        let ss = kem.decapsulate(&sealed.ciphertext.into());
        let head = [
            sealed.ephemeral.as_bytes(),
            &[0; 16][..],
            &sealed.ciphertext,
        ]
        .concat();
        let (t0, key) = self.unidentified(&dh[..64], &ss, &head);
        assert!(open(&key, &sealed.identity, &t0).is_some());
        verify(&self.verifying, &self.certified, &self.certificate);
        let (t1, secret) = identified(&t0, &dh, &ss, &sealed.identity);
        // Which key opens it depends on an agreement that is not made here.
        black_box(open(&derive::<44>(&t1, &secret), &sealed.invite, &t1));
        black_box(derive::<32>(&t1, &secret));
        black_box(hash(&[&t1, &sealed.invite]));
    }

    fn unidentified(&self, dh: &[u8], ss: &[u8], head: &[u8]) -> ([u8; 32], [u8; 44]) {
        let t0 = hash(&[LABEL, &self.bundle[24..], &self.signature, head]);
        (t0, derive(&t0, &[dh, ss].concat()))
    }

    fn draw(&mut self) -> [u8; 32] {
        self.counter += 1;
        let mut bytes = [11; 32];
        bytes[..8].copy_from_slice(&self.counter.to_be_bytes());
        bytes
    }
}

fn identified(t0: &[u8], dh: &[u8], ss: &[u8], sealed: &[u8]) -> ([u8; 32], [u8; 32]) {
    let t1 = hash(&[t0, sealed, &[8; IDENTITY_LEN]]);
    (t1, derive(&t1, &[dh, ss].concat()))
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn derive<const N: usize>(salt: &[u8], secret: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(LABEL, &mut out)
        .expect("it is short");
    out
}

fn seal(key: &[u8; 44], plaintext: &[u8], additional: &[u8]) -> Vec<u8> {
    let payload = Payload {
        msg: plaintext,
        aad: additional,
    };
    let (key, nonce) = split(key);
    let sealed = Aes256Gcm::new(key.into()).encrypt(nonce.into(), payload);
    sealed.expect("it is short")
}

fn open(key: &[u8; 44], sealed: &[u8], additional: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload {
        msg: sealed,
        aad: additional,
    };
    let (key, nonce) = split(key);
    Aes256Gcm::new(key.into())
        .decrypt(nonce.into(), payload)
        .ok()
}

fn split(key: &[u8; 44]) -> (&[u8; 32], &[u8; 12]) {
    let (key, rest) = key.split_first_chunk().expect("44 bytes hold 32");
    (key, rest.first_chunk().expect("12 bytes are left"))
}

fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) {
    let key = VerifyingKey::from_bytes(key).expect("a key");
    key.verify_strict(message, &Signature::from_bytes(signature))
        .expect("it holds");
}

/// The length of a head's plaintext, which the sizes printed are made of.
pub(crate) const fn head_len() -> usize {
    HEAD_LEN
}
