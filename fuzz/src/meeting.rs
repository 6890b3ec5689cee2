//! A recipient with a bundle, and invites that were sealed for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    BundleId, BundleSpec, ConversationId, Env, Frame, Identity, Inbox, InboxOutput,
    InitializationProtocol, Invite, InviteId, Offer, OfferId, Opened, ProtocolId, Result, Secret,
};
use cf_identity::SoftwareIdentity;
use cf_init::{InboxProtocol, PskProtocol};
use cf_testkit::{RecordMap, SeededRandom};

use crate::scene::{NOW, env, point};

/// The key that everybody has.
pub(crate) const PSK_KEY: [u8; 32] = [7; 32];

pub(crate) struct Meeting {
    pub(crate) protocol: Arc<dyn InitializationProtocol>,
    pub(crate) saro: Arc<dyn Identity>,
    pub(crate) raya: Arc<dyn Identity>,
    pub(crate) bundle: Bytes,
    pub(crate) records: RecordMap,
    /// Invites by Saro, each sealed anew.
    pub(crate) frames: Vec<Frame>,
}

pub(crate) fn identity(seed: u64) -> Arc<dyn Identity> {
    let identity = SoftwareIdentity::generate(&mut SeededRandom::new(seed));
    Arc::new(identity.expect("a seed gives an identity"))
}

impl Meeting {
    pub(crate) fn of_inbox() -> Self {
        Self::new(Arc::new(InboxProtocol::default()))
    }

    pub(crate) fn of_psk() -> Self {
        let protocol = PskProtocol::new(Secret::new(PSK_KEY.to_vec()));
        Self::new(Arc::new(protocol.expect("a key of 32 bytes")))
    }

    fn new(protocol: Arc<dyn InitializationProtocol>) -> Self {
        let (saro, raya) = (identity(1), identity(2));
        let mut random = SeededRandom::new(3);
        let inbox = protocol.inbox(raya.clone(), &mut env(&mut random));
        let mut inbox = inbox.expect("an empty inbox");
        let bundle = inbox.make_bundle(spec(), &mut env(&mut random));
        let mut records = RecordMap::default();
        drain(&mut *inbox, &mut records);
        let mut meeting = Self {
            protocol,
            saro,
            raya,
            bundle: bundle.expect("a good bundle"),
            records,
            frames: Vec::new(),
        };
        for number in 0..3 {
            let frame = meeting.seal(&invite(number), &mut random);
            meeting.frames.push(frame.expect("a good invite"));
        }
        meeting
    }

    pub(crate) fn seal(&self, invite: &Invite, random: &mut SeededRandom) -> Result<Frame> {
        let mut env = env(random);
        let handshake =
            (self.protocol).initiate(&self.saro, &self.bundle, invite.conversation, &mut env)?;
        Ok(handshake.seal(invite, &mut env)?.frame)
    }

    /// Raya's inbox as her records have it.
    pub(crate) fn inbox(&self, records: &RecordMap) -> Result<Box<dyn Inbox>> {
        let mut random = SeededRandom::new(4);
        let mut env = Env {
            now: NOW,
            random: &mut random,
            records,
        };
        let mut inbox = self.protocol.inbox(self.raya.clone(), &mut env)?;
        drain(&mut *inbox, &mut records.clone());
        Ok(inbox)
    }

    /// Gives a frame to an inbox: a frame that gives an error changes nothing.
    pub(crate) fn receive(
        &self,
        inbox: &mut dyn Inbox,
        records: &mut RecordMap,
        frame: &Frame,
    ) -> Option<Result<Opened>> {
        let recognized = inbox.recognize(&point("link"), frame.tag, &frame.body)?;
        let mut random = SeededRandom::new(5);
        let mut env = Env {
            now: NOW,
            random: &mut random,
            records: &*records,
        };
        let opened = inbox.open(recognized, &mut env);
        let outputs = drain(inbox, records);
        assert!(opened.is_ok() || outputs == 0, "an error changes nothing");
        Some(opened)
    }

    /// An honest invite is opened once, whatever came before.
    pub(crate) fn check_honest(&self, inbox: &mut dyn Inbox, records: &mut RecordMap) {
        let frame = &self.frames[0];
        let opened = self.receive(inbox, records, frame);
        assert!(matches!(opened, Some(Ok(_))), "{opened:?}");
        let opened = self.receive(inbox, records, frame);
        assert!(matches!(opened, Some(Ok(Opened::Repeated))), "{opened:?}");
    }
}

/// Carries out what an inbox put out; gives how much it was.
pub(crate) fn drain(inbox: &mut dyn Inbox, records: &mut RecordMap) -> usize {
    let mut count = 0;
    while let Some(output) = inbox.poll_output() {
        count += 1;
        if let InboxOutput::Record(change) = output {
            records.apply(change);
        }
    }
    count
}

fn spec() -> BundleSpec {
    BundleSpec {
        id: BundleId([1; 16]),
        points: vec![point("link")],
        offers: vec![offer()],
        conversation_protocols: vec![cf_conversation::PRIVATE],
        initializations: Vec::new(),
        display_name: "Raya".into(),
        expires_at: NOW.after(Duration::from_secs(24 * 3600)),
        one_time: false,
        generation: 1,
    }
}

fn offer() -> Offer {
    Offer {
        protocol: cf_conversation::PRIVATE,
        id: OfferId([2; 16]),
        public: Bytes::from_static(&[9; 34]),
        expires_at: NOW.after(Duration::from_secs(24 * 3600)),
        one_time: false,
    }
}

pub(crate) fn invite(number: u8) -> Invite {
    Invite {
        id: InviteId([number; 16]),
        conversation: ConversationId([3; 16]),
        conversation_protocol: ProtocolId::from_static("/example/conversation/chess/7"),
        specification: "https://example.org/chess".into(),
        parameters: "e2 e4".into(),
        offer: Some(OfferId([2; 16])),
        chosen_from: vec![cf_conversation::PRIVATE],
        points: vec![point("saro")],
        offers: vec![offer()],
        sent_at: NOW,
        display_name: "Saro".into(),
    }
}
