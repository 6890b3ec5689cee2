use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use cf_core::{Cursor, ErrorKind, Outcome};
use tokio::task::JoinSet;

use super::DeliveryUnderTest;
use super::law::{CONDITION_UNSUPPORTED, CONFLICT, ONE_WINNER};
use super::reader::{Scene, publish_if};
use crate::Verdict;
use crate::law::ensure;

/// Many write at once, each after the last cursor that it knows. For each cursor
/// one wins, and what is accepted is a chain without a fork.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_conditional_publish_has_one_winner(at: DeliveryUnderTest) -> Verdict {
    const WRITERS: usize = 8;
    let law = &ONE_WINNER;
    if !at.service.capabilities().conditional_publish {
        return law.not_declared("conditional publish");
    }
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, scene.earliest()).await?;
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        let service = [&at.service, &at.beside][writer % 2].clone();
        let (address, own) = (address.clone(), scene.payload(20));
        writing.spawn(async move {
            let mut steps = Vec::new();
            let mut last: Option<Cursor> = None;
            // A winner goes on from its own cursor, a loser from what it was told.
            for _ in 0..60 {
                let named = last.clone();
                let payload = name(&own, named.as_ref(), steps.len());
                let outcome = publish_if(&*service, &address, payload, named.as_ref()).await;
                match &outcome {
                    Outcome::Accepted { cursor } => last.clone_from(cursor),
                    Outcome::Conflict { current } => last.clone_from(current),
                    _ => {}
                }
                steps.push((named, outcome));
                tokio::task::yield_now().await;
            }
            steps
        });
    }
    let mut winners: HashMap<Option<Cursor>, Cursor> = HashMap::new();
    let mut unsure = false;
    for (named, outcome) in writing.join_all().await.into_iter().flatten() {
        match outcome {
            Outcome::Accepted {
                cursor: Some(cursor),
            } => {
                let other = winners.insert(named.clone(), cursor);
                ensure!(law, other.is_none(), "two were accepted after {named:?}");
            }
            Outcome::Accepted { cursor: None } => {
                return Err(law.broken("what was accepted on a condition has no cursor"));
            }
            Outcome::Conflict { current } => ensure!(
                law,
                current != named,
                "a writer that named {named:?} was told a conflict with the same"
            ),
            Outcome::Unknown(_) => unsure = true,
            Outcome::Queued | Outcome::Unavailable(_) => {}
            other => return Err(law.broken(format!("a condition gave {other:?}"))),
        }
    }
    let mut last = None;
    let mut chain = 0;
    while let Some(next) = winners.get(&last) {
        (last, chain) = (Some(next.clone()), chain + 1);
        ensure!(
            law,
            chain <= winners.len(),
            "the accepted cursors go in a circle"
        );
    }
    ensure!(
        law,
        unsure || chain == winners.len(),
        "{} were accepted, but only {chain} follow one another",
        winners.len()
    );
    let mut named = HashSet::new();
    let mut payloads = HashSet::new();
    for delivery in reader.rest().await? {
        if payloads.insert(delivery.payload.clone()) {
            let predecessor = delivery.payload.slice(20..);
            let predecessor = predecessor.slice(8..);
            ensure!(
                law,
                named.insert(predecessor),
                "two payloads came after one cursor"
            );
        }
    }
    Ok(())
}

/// A payload: who wrote it, its step, and the cursor that it was to follow.
fn name(own: &Bytes, last: Option<&Cursor>, step: usize) -> Bytes {
    let last = last.map_or(&b"nothing"[..], Cursor::as_bytes);
    [&own[..], &(step as u64).to_be_bytes(), last]
        .concat()
        .into()
}

/// Whoever loses is told the cursor of the last payload, and nothing of it comes.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_loser_is_told_the_current_cursor(at: DeliveryUnderTest) -> Verdict {
    let law = &CONFLICT;
    if !at.service.capabilities().conditional_publish {
        return law.not_declared("conditional publish");
    }
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, scene.earliest()).await?;
    let elsewhere = scene.address();
    let foreign = scene.publish_fresh(&elsewhere).await?.cursor;
    let Some(foreign) = foreign else {
        return Err(law.broken("an accepted payload has no cursor to name in a condition"));
    };
    // Nothing was published there: only `Empty` holds, whatever else is named.
    let payload = scene.payload(20);
    let outcome = publish_if(&*at.service, &address, payload, Some(&foreign)).await;
    match outcome {
        Outcome::Conflict { current: None } | Outcome::Unknown(_) | Outcome::Unavailable(_) => {}
        other => {
            let found = format!("a cursor named where nothing was published gave {other:?}");
            return Err(law.broken(found));
        }
    }
    let mut last = None;
    let mut stale = None;
    let mut losers = Vec::new();
    for _ in 0..5 {
        let published = scene.publish_fresh(&address).await?;
        let wrong = [None, stale.clone()];
        stale = last.clone();
        last = published.cursor;
        for named in wrong.into_iter().filter(|named| *named != last) {
            let payload = scene.payload(20);
            losers.push(payload.clone());
            match publish_if(&*at.service, &address, payload, named.as_ref()).await {
                Outcome::Conflict { current } => ensure!(
                    law,
                    current == last,
                    "the loser was told {current:?}, the last payload has {last:?}"
                ),
                // An answer that was lost is within the contract.
                Outcome::Unknown(_) | Outcome::Unavailable(_) => {}
                other => {
                    let found = format!("a condition that does not hold gave {other:?}");
                    return Err(law.broken(found));
                }
            }
        }
    }
    let came = reader.rest().await?;
    let lost = came
        .iter()
        .find(|delivery| losers.contains(&delivery.payload));
    ensure!(
        law,
        lost.is_none(),
        "a payload came whose condition did not hold"
    );
    Ok(())
}

/// Without conditional publish, a condition is refused as unsupported.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_condition_is_refused_where_it_is_not_kept(at: DeliveryUnderTest) -> Verdict {
    let law = &CONDITION_UNSUPPORTED;
    if at.service.capabilities().conditional_publish {
        println!("not asserted, since conditional publish is declared: {law}");
        return Ok(());
    }
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, scene.earliest()).await?;
    match publish_if(&*at.service, &address, scene.payload(20), None).await {
        Outcome::Refused(error) if error.kind() == ErrorKind::Unsupported => {}
        other => return Err(law.broken(format!("a condition gave {other:?}"))),
    }
    let came = reader.rest().await?.len();
    ensure!(law, came == 0, "what was refused came all the same");
    Ok(())
}
