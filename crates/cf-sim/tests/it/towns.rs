//! What the clients of a life are made of, drawn from its seed.

use std::sync::Arc;

use cf_client::Components;
use cf_conversation::{Ratchet, private, private_2};
use cf_core::{ConversationProtocol, DeliveryService, FramingStrategy, InitializationProtocol};
use cf_core::{Random, Secret};
use cf_ds::MemoryService;
use cf_framing::{Tagged, Wap};
use cf_identity::SoftwareIdentity;
use cf_init::{InboxProtocol, PskProtocol};
use cf_sim::Member;
use cf_testkit::SeededRandom;

fn service(name: &str) -> Arc<dyn DeliveryService> {
    Arc::new(MemoryService::new(name).unwrap())
}

/// Any framing, initialization and service; conversations that repeat what is lost.
pub(super) fn stock(dice: &mut SeededRandom) -> Vec<Member> {
    let conversations: [Vec<Arc<dyn ConversationProtocol>>; 3] = [
        vec![private()],
        vec![private_2()],
        vec![private_2(), private()],
    ];
    let conversations = pick(dice, &conversations);
    town(dice, conversations, Some(vec![private_2(), private()]))
}

/// The bare ratchet: what is lost is lost.
pub(super) fn bare(dice: &mut SeededRandom) -> Vec<Member> {
    let conversations: [Vec<Arc<dyn ConversationProtocol>>; 2] = [
        vec![Arc::new(Ratchet::new())],
        vec![Arc::new(Ratchet::healing())],
    ];
    let conversations = pick(dice, &conversations);
    town(dice, conversations, None)
}

fn town(
    dice: &mut SeededRandom,
    conversations: Vec<Arc<dyn ConversationProtocol>>,
    upgraded: Option<Vec<Arc<dyn ConversationProtocol>>>,
) -> Vec<Member> {
    let framings: [Vec<Arc<dyn FramingStrategy>>; 3] = [
        vec![Arc::new(Tagged)],
        vec![Arc::new(Wap)],
        vec![Arc::new(Wap), Arc::new(Tagged)],
    ];
    let framings = pick(dice, &framings);
    let services = [vec![service("one")], vec![service("one"), service("two")]];
    let services = pick(dice, &services);
    let mut key = [0; 32];
    dice.fill(&mut key);
    let psk = PskProtocol::new(Secret::new(key.to_vec())).unwrap();
    let initializations: [Vec<Arc<dyn InitializationProtocol>>; 3] = [
        vec![Arc::new(InboxProtocol::default())],
        vec![Arc::new(InboxProtocol::default()), Arc::new(psk.clone())],
        vec![Arc::new(psk)],
    ];
    let initializations = pick(dice, &initializations);
    let is_anonymous = initializations
        .iter()
        .any(|i| !i.properties().authenticated);
    let count = if is_anonymous { 2 } else { 2 + dice.below(3) };
    let components = Components {
        services,
        framings,
        discoveries: vec![Arc::new(cf_discovery::Link)],
        initializations,
        conversations,
    };
    let upgraded = upgraded.map(|conversations| Components {
        conversations,
        ..components.clone()
    });
    let member = |_| Member {
        components: components.clone(),
        upgraded: upgraded.clone(),
        identity: Arc::new(SoftwareIdentity::generate(dice).unwrap()),
    };
    (0..count).map(member).collect()
}

fn pick<T: Clone>(dice: &mut SeededRandom, all: &[T]) -> T {
    all[dice.below(all.len() as u64) as usize].clone()
}
