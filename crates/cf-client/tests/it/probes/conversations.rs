//! The conversation probes on the level of the contract.

use std::sync::Arc;

use bytes::Bytes;
use cf_core::*;
use proptest::prelude::*;

use super::bench::Bench;
use super::public_channel::PublicChannel;
use super::salted::Salted;
use super::toy_group::ToyGroup;

/// A framing that uses single-use tags: the tag, then the body.
struct Plain(ProtocolId);
#[derive(Default)]
struct Table(std::collections::BTreeMap<RoutingTag, InstanceId>);

impl FramingStrategy for Plain {
    fn id(&self) -> &ProtocolId {
        &self.0
    }
    fn max_body_len(&self, max_payload_len: usize) -> usize {
        max_payload_len.saturating_sub(16)
    }
    fn encode(&self, frame: &Frame, _: usize) -> Result<Bytes> {
        Ok([frame.tag.as_bytes(), &frame.body].concat().into())
    }
    fn router(&self) -> Box<dyn Router> {
        Box::new(Table::default())
    }
}

impl Router for Table {
    fn expect(&mut self, tag: Tag, instance: InstanceId) -> Result<()> {
        self.0.insert(*tag.tag(), instance);
        Ok(())
    }
    fn forget(&mut self, tag: Tag, _: InstanceId) {
        self.0.remove(tag.tag());
    }
    fn route(&self, payload: &Bytes) -> Result<Routed> {
        let tag = payload
            .get(..16)
            .ok_or_else(|| Error::malformed("too short"))?;
        let tag = RoutingTag::from_slice(tag)?;
        Ok(Routed {
            instance: self.0.get(&tag).copied(),
            tag,
            body: payload.slice(16..),
        })
    }
}

fn framing(salted: bool) -> Arc<dyn FramingStrategy> {
    match salted {
        true => Arc::new(Salted::new()),
        false => Arc::new(Plain(ProtocolId::from_static("/probe/framing/plain/1"))),
    }
}

fn joined(bench: &Bench, party: usize) -> usize {
    let joined = |event: &&ConversationEvent| matches!(event, ConversationEvent::Joined(_));
    bench.parties[party].events.iter().filter(joined).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Two members add two candidates at once, over a service that repeats
    /// deliveries and loses answers, with litter at the commit address and
    /// restarts in between: one wins, is invited once, and everybody gets
    /// everything that was sent after the add, once.
    #[test]
    fn a_group_of_three(seed: u64, salted: bool, restart: bool, named: bool) {
        let mut bench = Bench::new(seed, framing(salted));
        let group: Arc<dyn ConversationProtocol> = Arc::new(ToyGroup::new());
        let people = [(); 4].map(|()| bench.identity());
        let (saro, _) = bench.add(&group, &people[0], None).unwrap();
        bench.invite(saro, 7, named.then_some(&people[1])).unwrap();
        bench.send(saro, "before the other is there").unwrap();
        bench.run();
        let invite = bench.parties[saro].invites.pop().unwrap();
        prop_assert_eq!(invite.peer, PeerId(7));
        let (raya, _) = bench.add(&group, &people[1], Some(invite.parameters)).unwrap();
        bench.litter(&"no payload of anybody".into());
        bench.invite(saro, 8, named.then_some(&people[2])).unwrap();
        bench.run();
        prop_assert_eq!(&bench.parties[saro].answered, &[PeerId(7)]);
        prop_assert_eq!(joined(&bench, saro), 1);
        prop_assert_eq!(bench.texts(raya), ["before the other is there"]);

        let winner = bench.parties[saro].invites.pop().unwrap();
        prop_assert!(bench.invite(saro, 9, None).is_err(), "a fourth is refused");
        if restart {
            bench.restore(saro);
            bench.restore(raya);
        }
        let (pax, _) = bench.add(&group, &people[2], Some(winner.parameters)).unwrap();
        for round in 0..20 {
            for party in [saro, raya, pax] {
                bench.send(party, &format!("{party} says {round}")).unwrap();
            }
        }
        if restart {
            bench.restore(pax);
        }
        bench.run();
        for party in [saro, raya, pax] {
            let texts = bench.texts(party);
            let mut once = texts.clone();
            once.dedup();
            prop_assert_eq!(&texts, &once, "told once");
            let own = format!("{party} says");
            prop_assert!(!texts.iter().any(|text| text.starts_with(&own)));
            let said = texts.iter().filter(|text| text.contains("says")).count();
            prop_assert_eq!(said, 40);
        }
    }

    #[test]
    fn of_two_adds_at_once_one_wins(seed: u64, salted: bool) {
        let mut bench = Bench::new(seed, framing(salted));
        let group: Arc<dyn ConversationProtocol> = Arc::new(ToyGroup::new());
        let people = [(); 4].map(|()| bench.identity());
        let (saro, _) = bench.add(&group, &people[0], None).unwrap();
        bench.invite(saro, 1, Some(&people[1])).unwrap();
        bench.run();
        let invite = bench.parties[saro].invites.pop().unwrap();
        let (raya, _) = bench.add(&group, &people[1], Some(invite.parameters)).unwrap();
        bench.invite(saro, 2, Some(&people[2])).unwrap();
        bench.invite(raya, 3, Some(&people[3])).unwrap();
        bench.run();
        let invites = bench.parties[saro].invites.len() + bench.parties[raya].invites.len();
        prop_assert_eq!(invites, 1);
    }

    #[test]
    fn a_flipped_bit_changes_nothing(seed: u64, channel: bool, bit: u16) {
        let mut bench = Bench::new(seed, framing(true));
        let people = [(); 2].map(|()| bench.identity());
        let protocol: Arc<dyn ConversationProtocol> = match channel {
            true => Arc::new(PublicChannel::new()),
            false => Arc::new(ToyGroup::new()),
        };
        let (saro, mut parameters) = bench.add(&protocol, &people[0], None).unwrap();
        if !channel {
            bench.invite(saro, 1, Some(&people[1])).unwrap();
            bench.run();
            parameters = bench.parties[saro].invites.pop().unwrap().parameters;
        }
        let (raya, _) = bench.add(&protocol, &people[1], Some(parameters)).unwrap();
        bench.send(saro, "hello").unwrap();
        bench.publish_all();
        let before = bench.parties[raya].records.clone();
        for (address, payload) in bench.payloads() {
            if let Some(mut incoming) = bench.incoming(raya, &address, &payload) {
                let mut body = incoming.body.to_vec();
                let at = usize::from(bit) % (body.len() * 8);
                body[at / 8] ^= 1 << (at % 8);
                incoming.body = body.into();
                prop_assert!(bench.input(raya, Input::Frame(incoming)).is_err());
                prop_assert_eq!(&bench.parties[raya].records, &before);
            }
        }
        bench.run();
        prop_assert_eq!(bench.texts(raya), ["hello"]);
    }
}

#[test]
fn a_group_needs_conditional_publish() {
    let mut bench = Bench::new(1, framing(false));
    let saro = bench.identity();
    let mut setup = bench.setup(&saro, Bytes::new());
    setup.points[0].capabilities.conditional_publish = false;
    let mut env = Env {
        now: bench.now,
        random: &mut bench.random,
        records: &EmptyRecords,
    };
    let refused = ToyGroup::new().create(setup, &mut env).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_channel_has_one_author() {
    let mut bench = Bench::new(2, framing(true));
    let channel: Arc<dyn ConversationProtocol> = Arc::new(PublicChannel::new());
    let (saro, raya) = (bench.identity(), bench.identity());
    let (owner, parameters) = bench.add(&channel, &saro, None).unwrap();
    let (reader, _) = bench.add(&channel, &raya, Some(parameters)).unwrap();
    for number in 0..5 {
        bench.send(owner, &format!("news {number}")).unwrap();
        bench.restore(reader);
        bench.restore(owner);
    }
    bench.run();
    assert_eq!(
        bench.texts(reader),
        ["news 0", "news 1", "news 2", "news 3", "news 4"]
    );
    assert_eq!(
        bench.send(reader, "me too").unwrap_err().kind(),
        ErrorKind::Misuse
    );
    let accepted = |event: &&ConversationEvent| {
        matches!(
            event,
            ConversationEvent::State {
                state: ContentState::Accepted,
                ..
            }
        )
    };
    assert_eq!(
        bench.parties[owner].events.iter().filter(accepted).count(),
        5
    );
}
