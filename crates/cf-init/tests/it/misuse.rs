//! What the security sections of X3DH and PQXDH warn of, each as a test; the page
//! `docs/spec/init-inbox-1.md` says which item is shown where.

use std::sync::Arc;

use bytes::Bytes;
use cf_core::*;
use cf_identity::SafetyNumber;
use cf_init::InboxProtocol;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::hostile::{inner, signed};
use crate::world::{Counting, NOW, Raya, Saro, days, invite, one_time, spec};

/// The points of X25519 whose order is 1, 2, 4 or 8, and two encodings of them that
/// are not canonical (RFC 7748, and cr.yp.to/ecdh.html).
fn low_order() -> [[u8; 32]; 7] {
    let near_p = |last: u8| {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (last, 0x7f);
        point
    };
    let mut one = [0; 32];
    one[0] = 1;
    let eight = *b"\xe0\xeb\x7a\x7c\x3b\x41\xb8\xae\x16\x56\xe3\xfa\xf1\x9f\xc4\x6a\
        \xda\x09\x8d\xeb\x9c\x32\xb1\xfd\x86\x62\x05\x16\x5f\x49\xb8\x00";
    let other_eight = *b"\x5f\x9c\x95\xbc\xa3\x50\x8c\x24\xb1\xd0\xb1\x55\x9c\x83\xef\x5b\
        \x04\x44\x5c\xc4\x58\x1c\x8e\x86\xd8\x22\x4e\xdd\xd0\x9f\x11\x57";
    [
        [0; 32],
        one,
        eight,
        other_eight,
        near_p(0xec),
        near_p(0xed),
        near_p(0xee),
    ]
}

type Agree = Box<dyn Fn(&[u8; 32]) -> Result<Secret> + Send + Sync>;

/// Somebody who says to be another, with that one's certified key and some secret.
struct Forger {
    inner: Arc<dyn Identity>,
    id: ParticipantId,
    key: AgreementKey,
    /// What it takes for the agreement of the sender's key with a peer's.
    agreed: Agree,
}

impl Identity for Forger {
    fn scheme(&self) -> &ProtocolId {
        self.inner.scheme()
    }
    fn id(&self) -> &ParticipantId {
        &self.id
    }
    fn sign(&self, label: &str, bytes: &[u8]) -> Result<Bytes> {
        self.inner.sign(label, bytes)
    }
    fn verify(&self, who: &ParticipantId, label: &str, bytes: &[u8], sig: &[u8]) -> Result<()> {
        self.inner.verify(who, label, bytes, sig)
    }
    fn agreement_key(&self, _: Timestamp) -> Result<AgreementKey> {
        Ok(self.key.clone())
    }
    fn agree(&self, _: &[u8; 32], peer: &[u8; 32]) -> Result<Secret> {
        (self.agreed)(peer)
    }
    fn verify_agreement_key(
        &self,
        owner: &ParticipantId,
        key: &AgreementKey,
        now: Timestamp,
    ) -> Result<()> {
        self.inner.verify_agreement_key(owner, key, now)
    }
}

/// An attacker who claims to be `victim` and takes `agreed` for the agreement of the
/// victim's key.
fn forger(
    victim: &Arc<dyn Identity>,
    agreed: impl Fn(&[u8; 32]) -> Result<Secret> + Send + Sync + 'static,
) -> Saro {
    let mut mallory = Saro::new(66);
    mallory.identity = Arc::new(Forger {
        inner: mallory.identity.clone(),
        id: victim.id().clone(),
        key: victim.agreement_key(NOW).unwrap(),
        agreed: Box::new(agreed),
    });
    mallory
}

/// The private signed prekey of a recipient's only bundle, from its record.
fn signed_prekey(raya: &Raya) -> StaticSecret {
    let record = raya.records.0.values().next().unwrap();
    StaticSecret::from(<[u8; 32]>::try_from(&record[2..34]).unwrap())
}

fn agree(own: &StaticSecret, peer: &[u8; 32]) -> Result<Secret> {
    let shared = own.diffie_hellman(&PublicKey::from(*peer));
    Ok(Secret::from(&shared.as_bytes()[..]))
}

/// A bundle with some bytes in it changed, signed again by its owner.
fn resigned(owner: &dyn Identity, bundle: &Bytes, from: &[u8], to: &[u8]) -> Bytes {
    let mut bytes = inner(bundle).to_vec();
    let at = bytes.windows(from.len()).position(|w| w == from);
    let at = at.expect("it is in the bundle");
    bytes.splice(at..at + from.len(), to.iter().copied());
    signed(owner, &bytes)
}

fn error(result: Result<Box<dyn Handshake>>) -> Error {
    match result {
        Err(error) => error,
        Ok(_) => panic!("it is refused"),
    }
}

// ---- authentication, identity binding ------------------------------------------

#[test]
fn whoever_is_between_them_shows_another_identity() {
    let (saro, mut raya, mut mallory) = (Saro::new(1), Raya::new(2), Raya::new(3));
    let read = |bundle: &Bytes| InboxProtocol::new().read(&*saro.identity, bundle, NOW);
    let number = |bundle: &Bytes| {
        let owner = read(bundle).unwrap().owner.unwrap();
        SafetyNumber::of(saro.identity.id(), &owner)
    };
    let here = SafetyNumber::of(raya.identity.id(), saro.identity.id());
    assert_eq!(number(&raya.bundle(spec(1))), here);
    assert_ne!(number(&mallory.bundle(spec(1))), here);
}

/// Mallory puts her name to Raya's keys; nobody asks for a proof that she has the
/// private ones. What Saro then sends to "Mallory" must not open at Raya.
#[test]
fn a_bundle_under_another_name_gives_no_unknown_key_share() {
    let (mut saro, mut raya, mallory) = (Saro::new(1), Raya::new(2), Counting::new(3));
    let bundle = raya.bundle(spec(1));
    let stolen = resigned(
        &mallory.inner,
        &bundle,
        raya.identity.id().as_bytes(),
        mallory.inner.id().as_bytes(),
    );
    assert_eq!(error(saro.start(&stolen)).kind(), ErrorKind::Rejected);

    // Had she a certificate of her own for Raya's key, it would look good to Saro.
    let mut believing = Counting::new(1);
    believing.believes = true;
    saro.identity = Arc::new(believing);
    let frame = saro.invite(&stolen).0.frame;
    assert!(
        raya.recognize(&frame).is_some(),
        "token and keys are Raya's"
    );
    raya.refuses(&frame, "not authentic");
    raya.receive_new(&saro.invite(&bundle).0.frame);
}

/// Mallory says that Saro's agreement key is hers.
#[test]
fn a_senders_key_under_another_name_is_refused() {
    let (saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let theirs = saro.identity.clone();
    let own = saro.identity.agreement_key(NOW).unwrap().public;
    let mut mallory = forger(&saro.identity, move |peer| theirs.agree(&own, peer));
    let named = Saro::new(9).identity;
    let inner = mallory.identity.clone();
    let key = inner.agreement_key(NOW).unwrap();
    mallory.identity = Arc::new(Forger {
        id: named.id().clone(),
        key: key.clone(),
        agreed: Box::new(move |peer| inner.agree(&key.public, peer)),
        inner: named,
    });
    let frame = mallory.invite(&bundle).0.frame;
    raya.refuses(&frame, "signature does not hold");
}

// ---- replay, key reuse, weak randomness -----------------------------------------

#[test]
fn a_replay_to_another_bundle_is_refused() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    raya.bundle(spec(2));
    let recognized = raya.recognize(&saro.invite(&bundle).0.frame).unwrap();
    let mut state = recognized.state.to_vec();
    state[32..48].fill(2);
    let moved = Recognized {
        bundle: BundleId([2; 16]),
        state: state.into(),
        ..recognized
    };
    let error = raya.open(moved).unwrap_err();
    assert_eq!(error.to_string(), "the invite is not authentic");
    assert_eq!(raya.outputs, 0);
}

/// The limit that the page names: what a backup forgot comes again, with ids by which
/// the client can tell, and the conversation draws new keys.
#[test]
fn a_replay_to_a_backup_has_the_same_ids() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let backup = raya.records.clone();
    let frame = saro.invite(&bundle).0.frame;
    let first = raya.receive_new(&frame);
    raya.records = backup;
    raya.restart().unwrap();
    let second = raya.receive_new(&frame);
    assert_eq!(first.invite.id, second.invite.id);
    assert_eq!(first.invite.conversation, second.invite.conversation);
    assert_eq!(first.precedence, second.precedence);
}

#[test]
fn no_two_bundles_share_a_key() {
    let mut raya = Raya::new(2);
    for spec in [spec(1), spec(2), one_time(3), one_time(4)] {
        raya.bundle(spec);
    }
    let secrets: Vec<_> = raya
        .records
        .0
        .values()
        .map(|record| &record[2..98])
        .collect();
    for (index, secret) in secrets.iter().enumerate() {
        assert!(
            secrets[..index]
                .iter()
                .all(|other| { other[..32] != secret[..32] && other[32..] != secret[32..] })
        );
    }
}

/// A sender whose randomness repeats: the recipient takes one of the invites, and
/// different conversations still have different secrets.
#[test]
fn repeated_randomness_is_opened_once() {
    let mut raya = Raya::new(2);
    let bundle = raya.bundle(spec(1));
    let send = |conversation: ConversationId| {
        let mut saro = Saro::new(1);
        let mut env = Env {
            now: NOW,
            random: &mut saro.random,
            records: &EmptyRecords,
        };
        let protocol = InboxProtocol::new();
        let handshake = protocol.initiate(&saro.identity, &bundle, conversation, &mut env);
        let handshake = handshake.unwrap();
        let exported = handshake.exported().clone();
        let invite = Invite {
            conversation,
            ..invite()
        };
        (handshake.seal(&invite, &mut env).unwrap().frame, exported)
    };
    let (first, one) = send(ConversationId([1; 16]));
    let (second, other) = send(ConversationId([2; 16]));
    assert_ne!(one.expose(), other.expose());
    raya.receive_new(&first);
    assert!(matches!(raya.receive(&second), Ok(Opened::Repeated)));
}

// ---- deniability, key compromise ------------------------------------------------

/// Whoever has the recipient's prekey makes what the recipient takes for anybody's:
/// that is deniability, and what the compromise of a prekey costs.
#[test]
fn who_has_the_prekey_can_be_anybody_to_its_owner() {
    let (saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let prekey = signed_prekey(&raya);
    let public = saro.identity.agreement_key(NOW).unwrap().public;
    let mut mallory = forger(&saro.identity, move |_| agree(&prekey, &public));
    let invitation = raya.receive_new(&mallory.invite(&bundle).0.frame);
    assert_eq!(invitation.from.as_ref(), Some(saro.identity.id()));
}

#[test]
fn who_has_the_recipients_identity_key_alone_can_not() {
    let (saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let theirs = raya.identity.clone();
    let own = theirs.agreement_key(NOW).unwrap().public;
    let public = saro.identity.agreement_key(NOW).unwrap().public;
    let mut mallory = forger(&saro.identity, move |_| theirs.agree(&own, &public));
    let frame = mallory.invite(&bundle).0.frame;
    raya.refuses(&frame, "not authentic");
}

/// The compromise of the sender's agreement key, which an attacker with a quantum
/// computer at the time amounts to, lasts as long as its certificate.
#[test]
fn who_has_the_senders_key_is_the_sender_until_its_certificate_ends() {
    let (saro, mut raya) = (Saro::new(1), Raya::new(2));
    let (early, theirs) = (raya.bundle(spec(1)), saro.identity.clone());
    let key = theirs.agreement_key(NOW).unwrap();
    let public = key.public;
    let mut mallory = forger(&saro.identity, move |peer| theirs.agree(&public, peer));
    let invitation = raya.receive_new(&mallory.invite(&early).0.frame);
    assert_eq!(invitation.from.as_ref(), Some(saro.identity.id()));

    let end = days(91);
    assert!(key.not_after < end);
    raya.now = end;
    mallory.now = end;
    let late = raya.bundle(BundleSpec {
        expires_at: days(100),
        ..spec(2)
    });
    let frame = mallory.invite(&late).0.frame;
    raya.refuses(&frame, "not valid at this time");
}

// ---- server trust, signatures, wrong prekey, downgrade --------------------------

#[test]
fn a_prekey_of_another_bundle_is_refused() {
    let (mut saro, mut raya, mut mallory) = (Saro::new(1), Raya::new(2), Raya::new(3));
    let (bundle, other) = (raya.bundle(spec(1)), mallory.bundle(spec(1)));
    let [ours, theirs] =
        [&raya, &mallory].map(|one| *PublicKey::from(&signed_prekey(one)).as_bytes());
    // With Raya's signature, as it was, over another key than she signed.
    let at = bundle.windows(32).position(|w| w == ours).unwrap();
    let mut swapped = bundle.to_vec();
    swapped[at..at + 32].copy_from_slice(&theirs);
    assert_eq!(
        error(saro.start(&swapped.into())).kind(),
        ErrorKind::Rejected
    );
    // With the signature of somebody else, whose key it is.
    let swapped = resigned(&*mallory.identity, &bundle, &ours, &theirs);
    assert_eq!(error(saro.start(&swapped)).kind(), ErrorKind::Rejected);
    saro.start(&other).unwrap();
}

/// A service can't hand a one-time bundle out without its one-time key, nor a sender
/// leave its agreement out.
#[test]
fn a_one_time_prekey_is_not_withheld() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(one_time(1));
    let record = raya.records.0.values().next().unwrap();
    let secret = StaticSecret::from(<[u8; 32]>::try_from(&record[98..130]).unwrap());
    let field = [&[0x42, 0x20], &PublicKey::from(&secret).as_bytes()[..]].concat();
    let stripped = inner(&bundle);
    let at = stripped.windows(34).position(|w| w == field).unwrap();
    let stripped = [&stripped[..at], &stripped[at + 34..]].concat();
    let mallory = Counting::new(3);
    assert_eq!(
        error(saro.start(&signed(&mallory.inner, &stripped))).kind(),
        ErrorKind::Rejected
    );
    // Even a signature of the owner's own gives nothing that she opens.
    let frame = saro.invite(&signed(&*raya.identity, &stripped)).0.frame;
    raya.refuses(&frame, "not authentic");
    raya.receive_new(&saro.invite(&bundle).0.frame);
}

#[test]
fn nothing_is_stripped_from_a_bundle() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    // Another protocol in the list, under the signature of the first.
    let mut changed = bundle.to_vec();
    let list = b"/cf/conversation/private/1";
    let at = changed
        .windows(list.len())
        .rposition(|w| w == list)
        .unwrap();
    changed[at + list.len() - 1] = b'0';
    assert_eq!(
        error(saro.start(&changed.into())).kind(),
        ErrorKind::Rejected
    );
    // Without the post-quantum key it is no bundle, whoever signed it.
    let inner = inner(&bundle);
    let kem = inner
        .windows(3)
        .position(|w| w == [0x3a, 0xa0, 0x09])
        .unwrap();
    let classical = [&inner[..kem], &inner[kem + 3 + 1184..]].concat();
    let refused = error(saro.start(&signed(&*raya.identity, &classical)));
    assert_eq!(refused.kind(), ErrorKind::Malformed);
    // And a signature for another purpose is none for a bundle.
    let mut bytes = signed(&*raya.identity, &inner).to_vec();
    let signature = raya.identity.sign("/example/1 bundle", &inner).unwrap();
    let at = bytes.len() - signature.len();
    bytes[at..].copy_from_slice(&signature);
    assert_eq!(error(saro.start(&bytes.into())).kind(), ErrorKind::Rejected);
}

// ---- weak keys ------------------------------------------------------------------

#[test]
fn no_key_of_low_order_agrees() {
    let mut raya = Raya::new(2);
    let bundle = raya.bundle(one_time(1));
    let record = raya.records.0.values().next().unwrap().clone();
    let key = |at: usize| {
        let secret = StaticSecret::from(<[u8; 32]>::try_from(&record[at..at + 32]).unwrap());
        *PublicKey::from(&secret).as_bytes()
    };
    let identity = raya.identity.agreement_key(NOW).unwrap().public;
    let mut believing = Counting::new(1);
    believing.believes = true;
    let mut saro = Saro::new(1);
    saro.identity = Arc::new(believing);
    let recognized = raya.recognize(&saro.invite(&bundle).0.frame).unwrap();
    for point in low_order() {
        for place in [key(2), key(98), identity] {
            let weak = resigned(&*raya.identity, &bundle, &place, &point);
            let refused = error(saro.start(&weak));
            assert!(refused.to_string().contains("contribute"), "{refused}");
        }
        let mut state = recognized.state.to_vec();
        state[..32].copy_from_slice(&point);
        let state = state.into();
        let weak = Recognized {
            state,
            ..recognized.clone()
        };
        let refused = raya.open(weak).unwrap_err();
        assert!(refused.to_string().contains("contribute"), "{refused}");
    }
}

// ---- quantum adversaries, KEM ---------------------------------------------------

/// Who breaks every X25519 key later, but has no ML-KEM secret, opens nothing: the
/// recipient herself does not without it.
#[test]
fn without_the_kem_secret_nothing_opens() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let frame = saro.invite(&bundle).0.frame;
    let whole = raya.records.clone();
    for (from, to) in [(2, 34), (34, 98)] {
        let (key, record) = whole.0.iter().next().unwrap();
        let mut record = record.to_vec();
        record[from..to].fill(7);
        raya.records.0.insert(key.clone(), record.into());
        raya.restart().unwrap();
        raya.refuses(&frame, "not authentic");
    }
    raya.records = whole;
    raya.restart().unwrap();
    raya.receive_new(&frame);
}

/// Somebody who has the KEM secret of one bundle encapsulates anew for another one.
#[test]
fn a_secret_that_was_encapsulated_anew_is_refused() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let (first, second) = (raya.bundle(spec(1)), raya.bundle(spec(2)));
    let recognized = raya.recognize(&saro.invite(&first).0.frame).unwrap();
    let anew = raya.recognize(&saro.invite(&second).0.frame).unwrap();
    let splice = |bundle: u8, ciphertext: &[u8]| {
        let mut state = recognized.state.to_vec();
        state[32..48].fill(bundle);
        state[48..48 + 1088].copy_from_slice(ciphertext);
        Recognized {
            bundle: BundleId([bundle; 16]),
            state: state.into(),
            ..recognized.clone()
        }
    };
    let ciphertext = anew.state[48..48 + 1088].to_vec();
    for bundle in [1, 2] {
        let refused = raya.open(splice(bundle, &ciphertext)).unwrap_err();
        assert_eq!(refused.to_string(), "the invite is not authentic");
    }
    let same = splice(1, &recognized.state[48..48 + 1088]);
    assert!(matches!(raya.open(same), Ok(Opened::New(_))));
}

/// The page names tests that there are.
#[test]
fn the_page_maps_items_to_tests() {
    let page = include_str!("../../../../docs/spec/init-inbox-1.md");
    let sources = [
        ("misuse", include_str!("misuse.rs")),
        ("rules", include_str!("rules.rs")),
        ("handshake", include_str!("handshake.rs")),
        ("hostile", include_str!("hostile.rs")),
    ];
    let names: Vec<_> = page.split('`').filter(|word| word.contains("::")).collect();
    let tests = names.iter().filter_map(|name| {
        let (file, test) = name.split_once("::")?;
        let (_, source) = sources.iter().find(|(other, _)| *other == file)?;
        Some((name, source.contains(&format!("fn {test}()"))))
    });
    let tests: Vec<_> = tests.collect();
    assert!(tests.len() > 25, "{tests:?}");
    assert!(tests.iter().all(|(_, there)| *there), "{tests:?}");
}
