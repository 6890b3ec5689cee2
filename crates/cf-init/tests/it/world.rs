//! Saro, Raya, and what they need to meet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cf_core::*;
use cf_identity::SoftwareIdentity;
use cf_init::InboxProtocol;
use cf_testkit::{RecordMap, SeededRandom};

pub(crate) const NOW: Timestamp = Timestamp(1_767_225_600_000);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn days(days: u32) -> Timestamp {
    NOW.after(DAY * days)
}

pub(crate) fn point(name: &'static str) -> DeliveryPoint {
    DeliveryPoint {
        locator: Locator::parse("memory:town").unwrap(),
        address: DeliveryAddress::new(name).unwrap(),
        framing: ProtocolId::from_static("/cf/framing/tagged/1"),
    }
}

pub(crate) fn spec(id: u8) -> BundleSpec {
    BundleSpec {
        id: BundleId([id; 16]),
        points: vec![point("link")],
        offers: vec![offer(1)],
        conversation_protocols: vec![ProtocolId::from_static("/cf/conversation/private/1")],
        initializations: vec![ProtocolId::from_static("/cf/init/inbox/1")],
        display_name: "Raya".into(),
        expires_at: days(30),
        one_time: false,
        generation: 1,
    }
}

pub(crate) fn one_time(id: u8) -> BundleSpec {
    BundleSpec {
        one_time: true,
        ..spec(id)
    }
}

pub(crate) fn offer(id: u8) -> Offer {
    Offer {
        protocol: ProtocolId::from_static("/cf/conversation/private/1"),
        id: OfferId([id; 16]),
        public: Bytes::from_static(&[9; 32]),
        expires_at: days(30),
        one_time: false,
    }
}

pub(crate) const CONVERSATION: ConversationId = ConversationId([3; 16]);

/// An invite for a conversation protocol that nobody here has.
pub(crate) fn invite() -> Invite {
    Invite {
        id: InviteId([4; 16]),
        conversation: CONVERSATION,
        conversation_protocol: ProtocolId::from_static("/example/conversation/chess/7"),
        specification: "https://example.org/chess".into(),
        parameters: "e2 e4".into(),
        offer: Some(OfferId([1; 16])),
        chosen_from: vec![ProtocolId::from_static("/cf/conversation/private/1")],
        points: vec![point("saro")],
        offers: vec![offer(2)],
        sent_at: NOW,
        display_name: "Saro".into(),
    }
}

/// A sender.
pub(crate) struct Saro {
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) random: SeededRandom,
    pub(crate) now: Timestamp,
}

impl Saro {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = SeededRandom::new(seed);
        Self {
            identity: Arc::new(SoftwareIdentity::generate(&mut random).unwrap()),
            random,
            now: NOW,
        }
    }

    pub(crate) fn start(&mut self, bundle: &Bytes) -> Result<Box<dyn Handshake>> {
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records: &EmptyRecords,
        };
        InboxProtocol::new().initiate(&self.identity, bundle, CONVERSATION, &mut env)
    }

    pub(crate) fn seal(
        &mut self,
        handshake: Box<dyn Handshake>,
        invite: &Invite,
    ) -> Result<SealedInvite> {
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records: &EmptyRecords,
        };
        handshake.seal(invite, &mut env)
    }

    /// Sends the usual invite; its exported secret beside it.
    pub(crate) fn invite(&mut self, bundle: &Bytes) -> (SealedInvite, Secret) {
        let handshake = self.start(bundle).unwrap();
        let exported = handshake.exported().clone();
        let invite = Invite {
            sent_at: self.now,
            ..invite()
        };
        (self.seal(handshake, &invite).unwrap(), exported)
    }
}

/// A recipient as its driver sees it.
pub(crate) struct Raya {
    pub(crate) protocol: InboxProtocol,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) inbox: Box<dyn Inbox>,
    pub(crate) records: RecordMap,
    pub(crate) random: SeededRandom,
    pub(crate) now: Timestamp,
    pub(crate) listening: BTreeSet<DeliveryPoint>,
    pub(crate) wake: Option<Timestamp>,
    /// How many outputs the last call had.
    pub(crate) outputs: usize,
}

impl Raya {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(InboxProtocol::new(), seed)
    }

    pub(crate) fn with(protocol: InboxProtocol, seed: u64) -> Self {
        let mut random = SeededRandom::new(seed);
        let identity = Arc::new(SoftwareIdentity::generate(&mut random).unwrap());
        Self::with_identity(protocol, identity, random)
    }

    pub(crate) fn with_identity(
        protocol: InboxProtocol,
        identity: Arc<dyn Identity>,
        mut random: SeededRandom,
    ) -> Self {
        let mut env = Env {
            now: NOW,
            random: &mut random,
            records: &EmptyRecords,
        };
        let inbox = protocol.inbox(identity.clone(), &mut env).unwrap();
        Self {
            protocol,
            identity,
            inbox,
            records: RecordMap::default(),
            random,
            now: NOW,
            listening: BTreeSet::new(),
            wake: None,
            outputs: 0,
        }
    }

    /// Makes a call and drains its outputs.
    pub(crate) fn call<T>(&mut self, call: impl FnOnce(&mut dyn Inbox, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records: &self.records,
        };
        let result = call(&mut *self.inbox, &mut env);
        self.outputs = 0;
        while let Some(output) = self.inbox.poll_output() {
            self.outputs += 1;
            match output {
                InboxOutput::Listen(point) => assert!(self.listening.insert(point)),
                InboxOutput::Unlisten(point) => assert!(self.listening.remove(&point)),
                InboxOutput::Record(change) => self.records.apply(change),
                InboxOutput::WakeAt(at) => self.wake = Some(at),
                other => panic!("{other:?}"),
            }
        }
        result
    }

    pub(crate) fn bundle(&mut self, spec: BundleSpec) -> Bytes {
        self.call(|inbox, env| inbox.make_bundle(spec, env))
            .unwrap()
    }

    pub(crate) fn recognize(&self, frame: &Frame) -> Option<Recognized> {
        self.inbox.recognize(&point("link"), frame.tag, &frame.body)
    }

    pub(crate) fn open(&mut self, recognized: Recognized) -> Result<Opened> {
        self.call(|inbox, env| inbox.open(recognized, env))
    }

    /// Recognizes and opens a frame.
    pub(crate) fn receive(&mut self, frame: &Frame) -> Result<Opened> {
        let recognized = self.recognize(frame).expect("it is for this inbox");
        self.open(recognized)
    }

    pub(crate) fn receive_new(&mut self, frame: &Frame) -> Invitation {
        match self.receive(frame).unwrap() {
            Opened::New(invitation) => *invitation,
            Opened::Repeated => panic!("it is new"),
        }
    }

    /// Asserts that a call is refused with this error and changes nothing.
    pub(crate) fn refuses(&mut self, frame: &Frame, message: &str) {
        let before = self.records.clone();
        let error = self.receive(frame).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(self.outputs, 0);
        assert_eq!(self.records, before);
    }

    /// Throws the instance away and restores it from its records.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records: &self.records,
        };
        self.inbox = self.protocol.inbox(self.identity.clone(), &mut env)?;
        self.listening.clear();
        self.wake = None;
        self.call(|_, _| ());
        Ok(())
    }
}

/// Counts asymmetric operations, and lies where a test asks it to.
pub(crate) struct Counting {
    pub(crate) inner: SoftwareIdentity,
    pub(crate) operations: AtomicUsize,
    /// Claims an agreement key of low order.
    pub(crate) low_order: bool,
    /// Believes every certificate.
    pub(crate) believes: bool,
}

impl Counting {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            inner: SoftwareIdentity::generate(&mut SeededRandom::new(seed)).unwrap(),
            operations: AtomicUsize::new(0),
            low_order: false,
            believes: false,
        }
    }

    pub(crate) fn operations(&self) -> usize {
        self.operations.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
    }
}

impl Identity for Counting {
    fn scheme(&self) -> &ProtocolId {
        self.inner.scheme()
    }

    fn id(&self) -> &ParticipantId {
        self.inner.id()
    }

    fn sign(&self, label: &str, bytes: &[u8]) -> Result<Bytes> {
        self.count();
        self.inner.sign(label, bytes)
    }

    fn verify(&self, who: &ParticipantId, label: &str, bytes: &[u8], sig: &[u8]) -> Result<()> {
        self.count();
        self.inner.verify(who, label, bytes, sig)
    }

    fn agreement_key(&self, now: Timestamp) -> Result<AgreementKey> {
        self.count();
        let mut key = self.inner.agreement_key(now)?;
        if self.low_order {
            key.public = [0; 32];
        }
        Ok(key)
    }

    fn agree(&self, own: &[u8; 32], peer: &[u8; 32]) -> Result<Secret> {
        self.count();
        if self.low_order {
            return Ok(Secret::new(vec![0; 32]));
        }
        self.inner.agree(own, peer)
    }

    fn verify_agreement_key(
        &self,
        owner: &ParticipantId,
        key: &AgreementKey,
        now: Timestamp,
    ) -> Result<()> {
        self.count();
        if self.believes {
            return Ok(());
        }
        self.inner.verify_agreement_key(owner, key, now)
    }
}
