use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{Content, ContentId, ContentState, ConversationEvent};

use super::ConversationUnderTest;
use super::law::{EXCHANGE, ONCE, ORDER, RELIABLE, STATES};
use super::pair::{Pair, Weather};
use crate::law::ensure;
use crate::{Faults, Law, Verdict};

/// Over a good link everything arrives as it was sent, with its id and author,
/// routed by single-use and by standing tags.
///
/// # Errors
/// The violation, if there is one.
pub fn both_sides_exchange_content(at: ConversationUnderTest) -> Verdict {
    let law = &EXCHANGE;
    for (seed, by_standing) in [(1, false), (2, true), (3, false)] {
        let mut pair = Pair::new(law, &at, Weather::GOOD, seed)?;
        pair.by_standing = by_standing && !pair.sides[1].standing.is_empty();
        for len in [1, 2, 255, 256, 1000, 5000] {
            for from in 0..pair.senders() {
                pair.send(from, len)?;
                pair.send(from, len)?;
                pair.run_for(Duration::from_secs(1))?;
            }
        }
        pair.run_for(Duration::from_secs(600))?;
        for from in 0..pair.senders() {
            for (id, bytes) in &pair.sent[from] {
                let len = bytes.len();
                let arrived = pair.heard(1 - from).contains(&(id, bytes));
                ensure!(
                    law,
                    arrived,
                    "{len} bytes of side {from} did not arrive as they were"
                );
            }
        }
        for (side, event) in &pair.told {
            if let ConversationEvent::Content {
                from: Some(from), ..
            } = event
            {
                let author = pair.sides[1 - side].identity.id();
                ensure!(
                    law,
                    from == author,
                    "content of {author:?} is said to be of {from:?}"
                );
            }
        }
    }
    Ok(())
}

/// Over a link that loses, repeats, delays and reorders, with restarts of both
/// sides, no content is told twice, and none that was not sent.
///
/// # Errors
/// The violation, if there is one.
pub fn a_content_is_told_at_most_once(at: ConversationUnderTest) -> Verdict {
    let law = &ONCE;
    for seed in 0..6 {
        let mut pair = Pair::new(law, &at, Weather::BAD, seed)?;
        pair.talk(20)?;
        pair.run_for(Duration::from_secs(6 * 60 * 60))?;
        replay(&mut pair)?;
        for side in 0..2 {
            let mut seen = HashSet::new();
            for (id, bytes) in pair.heard(side) {
                ensure!(law, seen.insert(id), "{id:?} was told twice (seed {seed})");
                let is_sent = pair.sent[1 - side]
                    .iter()
                    .any(|(i, b)| (i, b) == (id, bytes));
                ensure!(
                    law,
                    is_sent,
                    "{id:?} was told as nobody sent it (seed {seed})"
                );
            }
        }
    }
    Ok(())
}

/// Delivers everything that was ever published once more, after a restart.
fn replay(pair: &mut Pair<'_>) -> Verdict {
    for side in 0..2 {
        pair.restart(side)?;
        for (from, publish) in pair.published.clone() {
            for point in publish.points.iter().filter(|_| from != side) {
                let incoming = cf_core::Incoming {
                    point: point.clone(),
                    cursor: None,
                    tag: publish.frame.tag,
                    body: publish.frame.body.clone(),
                };
                pair.deliver(side, incoming, publish.frame.standing)?;
            }
        }
    }
    Ok(())
}

/// A content is told as accepted only after a service accepted a frame of it, as
/// delivered only after the other side took one, and as read only after it was told.
///
/// # Errors
/// The violation, if there is one.
pub fn a_state_is_never_better_than_the_truth(at: ConversationUnderTest) -> Verdict {
    let law = &STATES;
    let severe = Weather {
        network: Faults {
            loss: 60,
            ..Weather::BAD.network
        },
        ..Weather::BAD
    };
    for (seed, weather) in [
        (1, Weather::BAD),
        (2, severe),
        (3, severe),
        (4, Weather::GOOD),
    ] {
        let mut pair = Pair::new(law, &at, weather, seed)?;
        pair.talk(15)?;
        pair.run_for(Duration::from_secs(6 * 60 * 60))?;
        let mut heard: HashSet<(usize, &ContentId)> = HashSet::new();
        for (place, (side, event)) in pair.told.iter().enumerate() {
            match event {
                ConversationEvent::Content { id, .. } => drop(heard.insert((1 - side, id))),
                ConversationEvent::State { id, state } => {
                    let is_noted = |notes: &[(usize, usize, ContentId)]| {
                        let mut notes = notes.iter();
                        notes.any(|(who, at, of)| (who, of) == (side, id) && *at <= place)
                    };
                    let is_told = heard.contains(&(*side, id));
                    let is_true = match state {
                        ContentState::Accepted => is_noted(&pair.accepted_contents),
                        // The other client may have it and wait for what comes
                        // before it.
                        ContentState::Delivered => is_told || is_noted(&pair.taken_contents),
                        ContentState::Read => is_told,
                        _ => true,
                    };
                    ensure!(
                        law,
                        is_true,
                        "{state:?} was told of {id:?} too early (seed {seed})"
                    );
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Over a bad link with restarts, everything arrives or is told as failed.
///
/// # Errors
/// The violation, if there is one.
pub fn content_is_delivered_in_spite_of_loss(at: ConversationUnderTest) -> Verdict {
    let law = &RELIABLE;
    if !at.protocol.properties().reliable {
        return law.not_declared("reliable");
    }
    for seed in 0..8 {
        let mut pair = Pair::new(law, &at, Weather::BAD, seed)?;
        pair.by_standing = seed % 2 == 1 && !pair.sides[1].standing.is_empty();
        pair.talk(20)?;
        pair.run_for(at.patience)?;
        for from in 0..2 {
            let heard: HashSet<_> = pair.heard(1 - from).into_iter().collect();
            let failed = failed(&pair, from);
            let missing: Vec<_> = pair.sent[from]
                .iter()
                .filter(|(id, bytes)| !heard.contains(&(id, bytes)) && !failed.contains(id))
                .collect();
            let (count, all) = (missing.len(), pair.sent[from].len());
            ensure!(
                law,
                missing.is_empty(),
                "{count} of {all} contents of side {from} neither arrived nor failed within {:?} \
                 (seed {seed})",
                at.patience
            );
        }
    }
    Ok(())
}

fn failed<'a>(pair: &'a Pair<'_>, side: usize) -> HashSet<&'a ContentId> {
    let told = pair.told.iter().filter(|(who, _)| *who == side);
    told.filter_map(|(_, event)| match event {
        ConversationEvent::State {
            id,
            state: ContentState::Failed(_),
        } => Some(id),
        _ => None,
    })
    .collect()
}

/// Over a bad link with restarts, an author's contents come in order, except
/// while a gap was told and not closed.
///
/// # Errors
/// The violation, if there is one.
pub fn content_comes_in_order_while_no_gap_is_open(at: ConversationUnderTest) -> Verdict {
    let law = &ORDER;
    if !at.protocol.properties().reliable {
        return law.not_declared("reliable");
    }
    for seed in 10..16 {
        let mut pair = Pair::new(law, &at, Weather::BAD, seed)?;
        pair.talk(25)?;
        pair.run_for(at.patience)?;
        for side in 0..2 {
            check_order(law, &pair, side, seed)?;
        }
    }
    Ok(())
}

fn check_order(law: &Law, pair: &Pair<'_>, side: usize, seed: u64) -> Verdict {
    let failed = failed(pair, 1 - side);
    let sent = pair.sent[1 - side].iter().map(|(id, _)| id);
    let sent = sent.filter(|id| !failed.contains(id));
    let places: HashMap<&ContentId, usize> = sent.zip(0..).collect();
    let mut heard: HashSet<usize> = HashSet::new();
    let mut gap = false;
    for (_, event) in pair.told.iter().filter(|(who, _)| *who == side) {
        match event {
            ConversationEvent::Gap { .. } => gap = true,
            ConversationEvent::GapClosed => gap = false,
            ConversationEvent::Content {
                id,
                content: Content::Bytes(bytes),
                ..
            } => {
                let Some(place) = places.get(id) else {
                    continue;
                };
                let missing = (0..*place).find(|before| !heard.contains(before));
                let len = Bytes::len(bytes);
                ensure!(
                    law,
                    gap || missing.is_none(),
                    "content {place} ({len} bytes) came before content {missing:?}, and no gap was \
                     told (seed {seed})"
                );
                heard.insert(*place);
            }
            _ => {}
        }
    }
    Ok(())
}
