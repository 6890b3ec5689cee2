//! What a first contact costs: `/cf/init/inbox/1` beside the bare floor of its
//! construction in the same run, and how many bytes there are of it.
//!
//! Ours and the floor take turns, so that what else the machine does meets both. Times
//! are medians.

mod floor;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cf_core::*;
use cf_discovery::Link;
use cf_framing::Tagged;
use cf_identity::SoftwareIdentity;
use cf_init::InboxProtocol;
use cf_testkit::{RecordMap, SeededRandom};

use floor::{Floor, Sealed};

const NOW: Timestamp = Timestamp(1_767_225_600_000);
/// How often each thing is done.
const ROUNDS: usize = 2_000;
const CONVERSATION: ConversationId = ConversationId([3; 16]);

#[allow(clippy::disallowed_methods, reason = "a benchmark reads a clock")]
fn timed<T>(times: &mut Vec<Duration>, call: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = black_box(call());
    times.push(start.elapsed());
    result
}

/// The times of one thing, ours and the floor's.
#[derive(Default)]
struct Row {
    ours: Vec<Duration>,
    floor: Vec<Duration>,
}

impl Row {
    fn print(mut self, name: &str) {
        let [ours, floor] = [&mut self.ours, &mut self.floor].map(|all| {
            all.sort();
            all[all.len() / 2].as_secs_f64() * 1e6
        });
        let ratio = ours / floor;
        println!("{name:<12} {ours:>8.1} {floor:>8.1} {ratio:>6.2}");
    }
}

fn point(random: &mut dyn Random) -> DeliveryPoint {
    DeliveryPoint {
        locator: Locator::parse("nats://chat.example:4222").expect("a locator"),
        address: DeliveryAddress::random(random),
        framing: Tagged::ID,
    }
}

/// What a client of the stock components says in a bundle.
fn spec(random: &mut dyn Random, index: u64) -> BundleSpec {
    let protocols = ["/cf/conversation/private/2", "/cf/conversation/private/1"];
    let protocols = protocols.map(ProtocolId::from_static);
    let expires_at = NOW.after(Duration::from_secs(30 * 24 * 60 * 60));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&index.to_be_bytes());
    BundleSpec {
        id: BundleId(id),
        points: vec![point(random)],
        offers: protocols
            .iter()
            .map(|protocol| Offer {
                protocol: protocol.clone(),
                id: OfferId::random(random),
                public: Bytes::from_static(&[9; 34]),
                expires_at,
                one_time: false,
            })
            .collect(),
        conversation_protocols: protocols.to_vec(),
        initializations: vec![ProtocolId::from_static("/cf/init/inbox/1")],
        display_name: "Raya".to_owned(),
        expires_at,
        one_time: false,
        generation: 1,
    }
}

fn invite(spec: &BundleSpec, random: &mut dyn Random) -> Invite {
    Invite {
        id: InviteId::random(random),
        conversation: CONVERSATION,
        conversation_protocol: spec.conversation_protocols[0].clone(),
        specification: "https://github.com/chat-framework/docs/spec/private-2.md".to_owned(),
        parameters: Bytes::from_static(&[8; 34]),
        offer: Some(spec.offers[0].id),
        chosen_from: spec.conversation_protocols.clone(),
        points: vec![point(random)],
        offers: Vec::new(),
        sent_at: NOW,
        display_name: "Saro".to_owned(),
    }
}

fn drain(inbox: &mut dyn Inbox, records: &mut RecordMap) {
    while let Some(output) = inbox.poll_output() {
        if let InboxOutput::Record(change) = output {
            records.apply(change);
        }
    }
}

fn main() {
    let random = &mut SeededRandom::new(1);
    let identity = |random: &mut SeededRandom| -> Arc<dyn Identity> {
        Arc::new(SoftwareIdentity::generate(random).expect("a seed"))
    };
    let (saro, raya) = (identity(random), identity(random));
    let protocol = InboxProtocol::new().with_max_invites(u32::MAX);
    let mut records = RecordMap::default();
    let mut env = Env {
        now: NOW,
        random,
        records: &EmptyRecords,
    };
    let mut inbox = protocol.inbox(raya.clone(), &mut env).expect("an inbox");
    let spec = spec(env.random, 0);
    let bundle = inbox.make_bundle(spec.clone(), &mut env).expect("a bundle");
    drain(&mut *inbox, &mut records);

    let invited = invite(&spec, env.random);
    let handshake = protocol.initiate(&saro, &bundle, CONVERSATION, &mut env);
    let sealed = handshake
        .expect("good")
        .seal(&invited, &mut env)
        .expect("short");
    sizes(&bundle, &sealed.frame);
    let invite_len = sealed.frame.body.len() - floor::head_len() - 384 - 3 * 16;
    let mut floor = Floor::new(bundle.len() - 70, invite_len);

    let [mut make, mut initiate, mut seal, mut recognize, mut open]: [Row; 5] = Default::default();
    for index in 1..=ROUNDS {
        let random = &mut *env.random;
        let mut env = Env {
            now: NOW,
            random,
            records: &records,
        };
        let other = BundleSpec {
            id: BundleId([(index % 250) as u8 + 1; 16]),
            ..spec.clone()
        };
        let id = other.id;
        timed(&mut make.ours, || inbox.make_bundle(other, &mut env)).expect("a bundle");
        inbox.revoke(id, &mut env);
        while inbox.poll_output().is_some() {}
        timed(&mut make.floor, || floor.bundle());

        let begun = timed(&mut initiate.ours, || {
            protocol.initiate(&saro, &bundle, CONVERSATION, &mut env)
        });
        let bare = timed(&mut initiate.floor, || floor.initiate());
        let begun = begun.expect("the bundle is good");
        let sealed = timed(&mut seal.ours, || begun.seal(&invited, &mut env)).expect("short");
        let bare: Sealed = timed(&mut seal.floor, || floor.seal(bare));
        let SealedInvite { frame, .. } = sealed;
        let point = &spec.points[0];
        let recognized = timed(&mut recognize.ours, || {
            inbox.recognize(point, frame.tag, &frame.body)
        });
        timed(&mut recognize.floor, || floor.recognize(&bare));
        let recognized = recognized.expect("it is for this inbox");
        let opened = timed(&mut open.ours, || inbox.open(recognized, &mut env));
        assert!(matches!(opened, Ok(Opened::New(_))));
        timed(&mut open.floor, || floor.open(&bare));
        drain(&mut *inbox, &mut records);
    }
    println!("\n{:<12} {:>8} {:>8} {:>6}", "µs", "ours", "floor", "ratio");
    make.print("make bundle");
    initiate.print("initiate");
    seal.print("seal");
    recognize.print("recognize");
    open.print("open");
}

/// How many bytes there are of a first contact.
fn sizes(bundle: &Bytes, frame: &Frame) {
    let set = BundleSet::new(vec![(cf_init::INBOX, bundle.clone())]).expect("one bundle");
    let advertisement = Advertisement {
        bundles: set,
        expires_at: NOW.after(Duration::from_secs(1)),
        generation: 1,
        state: None,
        now: NOW,
        seed: [0; 32],
    };
    let link = pollster::block_on(Link.advertise(advertisement)).expect("it is short");
    let payload = Tagged.encode(frame, 8192).expect("it is short");
    println!("bundle        {:>6} bytes", bundle.len());
    println!("link          {:>6} characters", link.query.len());
    println!("invite body   {:>6} bytes", frame.body.len());
    println!(
        "invite        {:>6} bytes, as a payload of tagged/1",
        payload.len()
    );
}
