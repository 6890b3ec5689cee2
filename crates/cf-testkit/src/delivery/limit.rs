use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cf_core::{ErrorKind, Outcome, PublishRequest};

use super::DeliveryUnderTest;
use super::law::{CANCEL_SAFE, LIMIT, SLOW};
use super::reader::{Scene, within};
use crate::Verdict;
use crate::law::ensure;

/// The longest payload that a test publishes, whatever a service takes.
const MAX_TESTED: usize = 64 * 1024 * 1024;

/// The declared maximum passes unharmed, and one byte more is refused.
///
/// # Errors
/// The violation, if there is one.
pub async fn the_longest_payload_passes_and_one_byte_more_is_refused(
    at: DeliveryUnderTest,
) -> Verdict {
    let law = &LIMIT;
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let max = at.service.capabilities().max_payload_len;
    let mut reader = scene.reader_at(&address, scene.earliest()).await?;
    let longest = scene.payload(max.min(MAX_TESTED));
    let published = scene.publish(&address, longest).await?;
    if max < MAX_TESTED {
        let longer = vec![7; max + 1];
        let request = PublishRequest::new(address.clone(), longer);
        let outcome = within(law, &at, "publishing", at.service.publish(request)).await?;
        match &outcome {
            Outcome::Refused(error) if error.kind() == ErrorKind::Rejected => {}
            other => {
                let found = format!("a payload of {} bytes gave {other:?}", max + 1);
                return Err(law.broken(found));
            }
        }
    }
    for delivery in reader.read(std::slice::from_ref(&published)).await? {
        let len = delivery.payload.len();
        ensure!(
            law,
            delivery.payload == published.payload,
            "{len} other bytes came"
        );
    }
    Ok(())
}

/// A subscriber that never asks keeps neither publishers nor other subscribers
/// from going on.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_slow_subscriber_harms_no_other(at: DeliveryUnderTest) -> Verdict {
    const PAYLOADS: usize = 1_500;
    let law = &SLOW;
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let slow = scene.reader_at(&address, scene.earliest()).await?;
    let mut quick = scene.reader_at(&address, scene.earliest()).await?;
    for part in 0..10 {
        let published = scene.publish_many(&address, PAYLOADS / 10).await?;
        let mut missing = published.len();
        while missing > 0 {
            match quick.next_within(at.due()).await? {
                Some(delivery) if super::reader::is_among(&delivery.payload, &published) => {
                    missing -= 1;
                }
                Some(_) => {}
                None if at.promises_delivery() => {
                    let found = format!(
                        "beside a subscriber that does not ask, another got nothing more in \
                         part {part}; {missing} were due"
                    );
                    return Err(law.broken(found));
                }
                None => break,
            }
        }
    }
    drop(slow);
    Ok(())
}

/// A subscriber that drops its `next` all the time still gets everything.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_dropped_next_loses_nothing(at: DeliveryUnderTest) -> Verdict {
    const PAYLOADS: usize = 60;
    let law = &CANCEL_SAFE;
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, scene.earliest()).await?;
    let mut read = Vec::new();
    let mut published = Vec::new();
    for _ in 0..PAYLOADS {
        published.push(scene.publish_fresh(&address).await?);
        for _ in 0..3 {
            if let Some(delivery) = poll_once(reader.subscription.next()) {
                match delivery {
                    Ok(delivery) => read.push(delivery.payload),
                    Err(error) if error.is_retryable() => {}
                    Err(error) => return Err(law.broken(format!("next failed: {error:?}"))),
                }
            }
            tokio::task::yield_now().await;
        }
    }
    published.retain(|one| !read.contains(&one.payload));
    reader.read(&published).await?;
    Ok(())
}

/// Polls a future once and drops it.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
