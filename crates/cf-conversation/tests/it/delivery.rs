use std::sync::Arc;
use std::time::Duration;

use cf_conversation::{PRIVATE, Ratchet, Reliable, ReliableSettings, private};
use cf_core::{ContentId, ContentState, ConversationEvent, ConversationProtocol};

use crate::pair::{Faults, Pair};

fn patient() -> Arc<dyn ConversationProtocol> {
    let settings = ReliableSettings {
        hold: Duration::from_secs(24 * 3600),
        ..ReliableSettings::default()
    };
    Arc::new(Reliable::with_settings(
        PRIVATE,
        Arc::new(Ratchet::new()),
        settings,
    ))
}

#[test]
fn bare_ratchet_exchanges_content() {
    let protocol: Arc<dyn ConversationProtocol> = Arc::new(Ratchet::new());
    let mut pair = Pair::new(&protocol, Faults::NONE, 1);
    for round in 0..5 {
        for (from, text) in [(0, "from Saro"), (1, "from Raya"), (0, "again")] {
            pair.send(from, &format!("{round} {text}"), format!("{round} {text}"));
            pair.run_for(Duration::from_secs(1));
        }
    }
    assert_eq!(pair.sides[1].contents().len(), 10);
    assert_eq!(pair.sides[0].contents().len(), 5);
    assert_eq!(pair.sides[0].answered.len(), 1);
}

#[test]
fn every_content_arrives_once_and_in_order_over_a_bad_link() {
    for seed in 0..200 {
        let mut pair = Pair::new(&patient(), Faults::BAD, seed);
        let mut sent = [Vec::new(), Vec::new()];
        for number in 0..30 {
            let from = pair.random.below(2) as usize;
            let text = format!("{} {number}", pair.sides[from].name);
            pair.send(from, &text, text.clone());
            sent[from].push(text);
            let pause = pair.random.below(3_000);
            pair.run_for(Duration::from_millis(pause));
        }
        pair.run_for(Duration::from_secs(24 * 3600));
        for (side, sent) in sent.iter().enumerate() {
            assert_eq!(pair.sides[1 - side].contents(), *sent, "seed {seed}");
            for text in sent {
                let id = ContentId::new(text.clone().into_bytes()).unwrap();
                let state = |event: &&ConversationEvent| matches!(event, ConversationEvent::State { id: of, state: ContentState::Delivered } if *of == id);
                assert_eq!(pair.sides[side].events.iter().filter(state).count(), 1);
            }
        }
    }
}

#[test]
fn default_patience_delivers_everything_once() {
    for seed in 0..20 {
        let mut pair = Pair::new(&private(), Faults::BAD, seed);
        for number in 0..40 {
            pair.send(0, &number.to_string(), number.to_string());
        }
        pair.run_for(Duration::from_secs(24 * 3600));
        let mut contents = pair.sides[1].contents();
        contents.sort_by_key(|text| String::from_utf8_lossy(text).parse::<u32>().unwrap());
        let all: Vec<_> = (0..40).map(|number: u32| number.to_string()).collect();
        assert_eq!(contents, all, "seed {seed}");
    }
}
