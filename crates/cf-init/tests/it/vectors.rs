//! The vectors, through the public interface: the same keys give the same bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use cf_core::*;
use cf_identity::SoftwareIdentity;
use cf_init::InboxProtocol;
use cf_testkit::RecordMap;
use data_encoding::HEXLOWER;
use serde_json::Value;

pub(crate) fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn id(value: &Value) -> [u8; 16] {
    hex(value).try_into().unwrap()
}

pub(crate) fn time(value: &Value) -> Timestamp {
    Timestamp(value.as_u64().unwrap())
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(read).collect()
}

fn protocol(value: &Value) -> ProtocolId {
    ProtocolId::parse(value.as_str().unwrap()).unwrap()
}

pub(crate) fn point(value: &Value) -> DeliveryPoint {
    DeliveryPoint {
        locator: Locator::parse(value["locator"].as_str().unwrap()).unwrap(),
        address: DeliveryAddress::new(hex(&value["address"])).unwrap(),
        framing: protocol(&value["framing"]),
    }
}

fn offer(value: &Value) -> Offer {
    Offer {
        protocol: protocol(&value["protocol"]),
        id: OfferId(id(&value["id"])),
        public: hex(&value["public"]).into(),
        expires_at: time(&value["expires_at"]),
        one_time: value["one_time"].as_bool().unwrap(),
    }
}

pub(crate) fn spec(value: &Value) -> BundleSpec {
    BundleSpec {
        id: BundleId(id(&value["id"])),
        points: list(&value["points"], point),
        offers: list(&value["offers"], offer),
        conversation_protocols: list(&value["conversation_protocols"], protocol),
        initializations: list(&value["initializations"], protocol),
        display_name: text(&value["display_name"]),
        expires_at: time(&value["expires_at"]),
        one_time: value["one_time"].as_bool().unwrap(),
        generation: value["generation"].as_u64().unwrap(),
    }
}

pub(crate) fn invite(value: &Value) -> Invite {
    Invite {
        id: InviteId(id(&value["id"])),
        conversation: ConversationId(id(&value["conversation"])),
        conversation_protocol: protocol(&value["conversation_protocol"]),
        specification: text(&value["specification"]),
        parameters: hex(&value["parameters"]).into(),
        offer: match value["offer"].as_str().unwrap() {
            "" => None,
            _ => Some(OfferId(id(&value["offer"]))),
        },
        chosen_from: list(&value["chosen_from"], protocol),
        points: list(&value["points"], point),
        offers: list(&value["offers"], offer),
        sent_at: time(&value["sent_at"]),
        display_name: text(&value["display_name"]),
    }
}

/// Gives out what a vector says was drawn.
pub(crate) struct Drawn(VecDeque<u8>);

impl Random for Drawn {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self
                .0
                .pop_front()
                .expect("no more is drawn than the vector says");
        }
    }
}

pub(crate) fn drawn(keys: &Value, names: &[&str]) -> Drawn {
    Drawn(names.iter().flat_map(|name| hex(&keys[name])).collect())
}

fn identity(seed: &Value) -> Arc<dyn Identity> {
    Arc::new(SoftwareIdentity::from_seed(Secret::new(hex(seed))).unwrap())
}

pub(crate) fn drain(inbox: &mut dyn Inbox, records: &mut RecordMap) {
    while let Some(output) = inbox.poll_output() {
        if let InboxOutput::Record(change) = output {
            records.apply(change);
        }
    }
}

fn check(vector: &Value) {
    let (now, keys) = (time(&vector["now"]), &vector["keys"]);
    let protocol = InboxProtocol::new();
    let (saro, raya) = (
        identity(&keys["sender_seed"]),
        identity(&keys["recipient_seed"]),
    );
    let mut records = RecordMap::default();

    let mut random = drawn(
        keys,
        &["signed_prekey", "kem_seed", "one_time_prekey", "token"],
    );
    let mut env = Env {
        now,
        random: &mut random,
        records: &EmptyRecords,
    };
    let mut inbox = protocol.inbox(raya.clone(), &mut env).unwrap();
    let bundle = inbox.make_bundle(spec(&vector["spec"]), &mut env).unwrap();
    assert_eq!(bundle, hex(&vector["bundle"]));
    assert!(random.0.is_empty());
    drain(&mut *inbox, &mut records);
    let record = (
        Bytes::from(hex(&vector["record_key"])),
        Bytes::from(hex(&vector["record"])),
    );
    assert_eq!(records.0, [record.clone()].into());

    let mut random = drawn(keys, &["ephemeral", "kem_randomness", "tag"]);
    let mut env = Env {
        now,
        random: &mut random,
        records: &EmptyRecords,
    };
    let invite = invite(&vector["invite"]);
    let handshake = protocol.initiate(&saro, &bundle, invite.conversation, &mut env);
    let handshake = handshake.unwrap();
    assert_eq!(handshake.exported().expose(), hex(&vector["exported"]));
    let sealed = handshake.seal(&invite, &mut env).unwrap();
    assert_eq!(sealed.frame.tag.as_bytes(), &hex(&keys["tag"])[..]);
    assert_eq!(sealed.frame.body, hex(&vector["body"]));
    assert_eq!(sealed.precedence, hex(&vector["precedence"])[..]);

    // The stored record is opened as well: also one of an earlier build.
    let stored = RecordMap([record].into());
    let mut env = Env {
        now,
        random: &mut Drawn(VecDeque::new()),
        records: &stored,
    };
    let mut restored = protocol.inbox(raya, &mut env).unwrap();
    for inbox in [&mut inbox, &mut restored] {
        let point = point(&vector["spec"]["points"][0]);
        let recognized = inbox.recognize(&point, sealed.frame.tag, &sealed.frame.body);
        let Opened::New(invitation) = inbox.open(recognized.unwrap(), &mut env).unwrap() else {
            panic!("it is new");
        };
        assert_eq!(invitation.invite, invite);
        assert_eq!(invitation.from.as_ref(), Some(saro.id()));
        assert_eq!(invitation.exported.expose(), hex(&vector["exported"]));
        assert_eq!(invitation.precedence, sealed.precedence);
    }
}

#[test]
fn every_derivation_matches_the_vectors() {
    let vectors = include_str!("../../../../docs/spec/vectors/init-inbox-1.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    cases.iter().for_each(check);
}
