use cf_core::{Outcome, PayloadId, PublishRequest, Resume, Start};

use super::DeliveryUnderTest;
use super::law::{CONSTANT, RECONNECTION, SUPPRESSION, TRUTH};
use super::reader::{Scene, is_among};
use crate::Verdict;
use crate::law::ensure;

/// What was accepted is there at once, for whoever asks then and even if the
/// connection breaks right after the answer; what was refused is not there.
///
/// # Errors
/// The violation, if there is one.
pub async fn an_outcome_is_never_better_than_the_truth(at: DeliveryUnderTest) -> Verdict {
    let law = &TRUTH;
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let capabilities = at.service.capabilities();
    let can_look_back =
        capabilities.retention.is_some() && capabilities.resume == Resume::AnyCursor;
    let mut early = scene.reader_at(&address, scene.earliest()).await?;
    let mut accepted = Vec::new();
    let mut refused = Vec::new();
    for round in 0..6 {
        let payload = scene.payload(100);
        let request = PublishRequest::new(address.clone(), payload.clone());
        let cursor = match at.service.publish(request).await {
            Outcome::Accepted { cursor } => cursor,
            Outcome::Refused(_) | Outcome::Conflict { .. } | Outcome::Unavailable(_) => {
                refused.push(payload);
                continue;
            }
            _ => continue,
        };
        if let Some(reconnect) = &at.reconnect {
            reconnect().await;
        }
        accepted.push(super::reader::Published {
            payload,
            cursor: cursor.clone(),
        });
        if !can_look_back {
            continue;
        }
        for service in [&at.beside, &at.service] {
            let mut reader = scene.reader_of(&**service).await?;
            reader.add(&address, Start::Earliest).await?;
            let read = reader.read(&accepted[accepted.len() - 1..]).await?;
            let last = read
                .iter()
                .find(|d| Some(&d.payload) == accepted.last().map(|p| &p.payload));
            let told = last.and_then(|delivery| delivery.cursor.clone());
            ensure!(
                law,
                cursor.is_none() || told == cursor,
                "payload {round} was accepted at {cursor:?} and delivered at {told:?}"
            );
        }
    }
    let read = early.read(&accepted).await?;
    let false_alarm = read
        .iter()
        .find(|delivery| refused.contains(&delivery.payload));
    ensure!(
        law,
        false_alarm.is_none(),
        "a payload came that was refused or unavailable"
    );
    Ok(())
}

/// The same publish twice is delivered once; two of the same bytes are not one.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_repeated_publish_is_dropped(at: DeliveryUnderTest) -> Verdict {
    let law = &SUPPRESSION;
    if at.service.capabilities().duplicate_suppression.is_none() {
        return law.not_declared("duplicate suppression");
    }
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, scene.earliest()).await?;
    let payload = scene.payload(40);
    let ids = [
        PayloadId::random(&mut scene.random),
        PayloadId::random(&mut scene.random),
    ];
    for id in [ids[0], ids[0], ids[1], ids[0], ids[1]] {
        let service = &*at.service;
        super::reader::publish(law, &at, service, id, &address, payload.clone()).await?;
    }
    let mut count = 0;
    while count < 2 {
        let Some(delivery) = reader.next_within(at.due()).await? else {
            break;
        };
        count += usize::from(delivery.payload == payload);
    }
    count += reader.rest().await?.len();
    ensure!(
        law,
        count == 2 || (count < 2 && !at.promises_delivery()),
        "two publishes, repeated, were delivered {count} times"
    );
    Ok(())
}

/// Capabilities are the same whenever they are asked for.
///
/// # Errors
/// The violation, if there is one.
pub async fn capabilities_do_not_change(at: DeliveryUnderTest) -> Verdict {
    let law = &CONSTANT;
    let before = at.service.capabilities();
    ensure!(
        law,
        before.max_payload_len > 0,
        "no payload is short enough"
    );
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, scene.earliest()).await?;
    let published = scene.publish_all(&address, 3).await?;
    reader.read(&published).await?;
    let after = at.service.capabilities();
    ensure!(law, before == after, "{before:?} became {after:?}");
    Ok(())
}

/// After a broken connection a subscription goes on by itself, and brings also
/// what was published in between where that is retained.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_lost_connection_comes_back_by_itself(at: DeliveryUnderTest) -> Verdict {
    let law = &RECONNECTION;
    let Some(reconnect) = &at.reconnect else {
        println!("not asserted, since the factory has no reconnect: {law}");
        return Ok(());
    };
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, scene.earliest()).await?;
    let mut all = Vec::new();
    for _ in 0..3 {
        let before = scene.publish_all(&address, 2).await?;
        // Read or not: what was not read yet comes after the reconnection.
        if all.len() % 4 == 0 {
            reader.read(&before).await?;
        }
        reconnect().await;
        let mut due = scene.publish_all(&address, 2).await?;
        all.extend(before);
        all.extend(due.clone());
        if at.service.capabilities().resume == Resume::No {
            // What came while the subscription was away need not wait for it.
            reader.rest().await?;
            due = scene.publish_all(&address, 2).await?;
            all.extend(due.clone());
        }
        for delivery in reader.read(&due).await? {
            let known = is_among(&delivery.payload, &all);
            ensure!(law, known, "a payload came that nobody published");
        }
    }
    Ok(())
}
