use cf_core::{Cursor, ErrorKind, Random, Resume, Start};

use super::DeliveryUnderTest;
use super::law::{AFTER_CURSOR, FOREIGN_CURSOR, LATE, LATEST, MOVED, WHERE_STOPPED};
use super::reader::{Scene, firsts, is_among};
use crate::Verdict;
use crate::law::ensure;

/// Whoever subscribes after the publishing gets all of it.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_late_subscriber_gets_what_is_retained(at: DeliveryUnderTest) -> Verdict {
    let law = &LATE;
    let capabilities = at.service.capabilities();
    if capabilities.retention.is_none() || capabilities.resume != Resume::AnyCursor {
        return law.not_declared("retention with a resume from any cursor");
    }
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let published = scene.publish_all(&address, 10).await?;
    for service in [&at.service, &at.beside] {
        let mut late = scene.reader_of(&**service).await?;
        late.add(&address, Start::Earliest).await?;
        late.read(&published).await?;
    }
    Ok(())
}

/// From each delivery's cursor, and from each cursor that a publisher was told,
/// all that came after it comes again.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_subscription_resumes_after_any_cursor(at: DeliveryUnderTest) -> Verdict {
    let law = &AFTER_CURSOR;
    if at.service.capabilities().resume != Resume::AnyCursor {
        return law.not_declared("resume after any cursor");
    }
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, Start::Earliest).await?;
    let published = scene.publish_all(&address, 6).await?;
    let deliveries = reader.read(&published).await?;
    for (index, one) in published.iter().enumerate() {
        let delivery = deliveries.iter().find(|d| d.payload == one.payload);
        let Some(delivery) = delivery else { continue };
        let Some(cursor) = &delivery.cursor else {
            return Err(law.broken("a delivery has no cursor to resume from"));
        };
        let cursors = one.cursor.iter().chain([cursor]);
        for cursor in cursors {
            let start = Start::After(cursor.clone());
            let mut resumed = scene.reader_at(&address, start).await?;
            let read = resumed.read(&published[index + 1..]).await?;
            let again = read
                .iter()
                .find(|d| is_among(&d.payload, &published[..=index]));
            ensure!(
                law,
                again.is_none() || !at.service.capabilities().order,
                "what stands at or before the cursor of payload {index} came again"
            );
        }
    }
    Ok(())
}

/// What a subscriber did not acknowledge, and what came while it was away, comes
/// when it subscribes again.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_subscription_resumes_where_it_stopped(at: DeliveryUnderTest) -> Verdict {
    let law = &WHERE_STOPPED;
    if at.service.capabilities().resume != Resume::WhereStopped {
        return law.not_declared("resume where a subscriber stopped");
    }
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, Start::Earliest).await?;
    let mut due = scene.publish_all(&address, 4).await?;
    let read = reader.read(&due).await?;
    // Acknowledges the first two in the order in which they came.
    let acknowledged: Vec<_> = firsts(&read).into_iter().take(2).cloned().collect();
    for delivery in &read {
        if let (true, Some(cursor)) = (acknowledged.contains(&delivery.payload), &delivery.cursor) {
            reader.subscription.acknowledge(&address, cursor);
        }
    }
    drop(reader);
    due.retain(|one| !acknowledged.contains(&one.payload));
    due.extend(scene.publish_all(&address, 3).await?);
    let mut again = scene.reader_at(&address, Start::Earliest).await?;
    again.read(&due).await?;
    Ok(())
}

/// A subscription from the latest payload brings what is published then, and
/// nothing that was published before.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_subscription_from_the_latest_brings_only_what_comes_then(
    at: DeliveryUnderTest,
) -> Verdict {
    let law = &LATEST;
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let before = scene.publish_all(&address, 3).await?;
    if at.service.capabilities().resume != Resume::AnyCursor {
        // Late deliveries are within the contract: only what comes is checked.
        let mut reader = scene.reader_at(&address, Start::Latest).await?;
        let due = scene.publish_all(&address, 3).await?;
        reader.read(&due).await?;
        return Ok(());
    }
    let mut reader = scene.reader_at(&address, Start::Latest).await?;
    let due = scene.publish_all(&address, 3).await?;
    let read = reader.read(&due).await?;
    let earlier = read.iter().find(|d| is_among(&d.payload, &before));
    ensure!(
        law,
        earlier.is_none(),
        "a payload came that was accepted before the subscription"
    );
    Ok(())
}

/// Adding an address again from the beginning brings everything again.
///
/// # Errors
/// The violation, if there is one.
pub async fn adding_an_address_again_moves_it(at: DeliveryUnderTest) -> Verdict {
    let law = &MOVED;
    if at.service.capabilities().resume != Resume::AnyCursor {
        return law.not_declared("resume after any cursor");
    }
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, Start::Earliest).await?;
    let published = scene.publish_all(&address, 3).await?;
    reader.read(&published).await?;
    reader.add(&address, Start::Earliest).await?;
    reader.read(&published).await?;
    reader.add(&address, Start::Latest).await?;
    let due = scene.publish_all(&address, 2).await?;
    reader.read(&due).await?;
    Ok(())
}

/// A cursor that the service never gave is misuse, and the subscription goes on
/// where it was.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_foreign_cursor_is_misuse_and_changes_nothing(at: DeliveryUnderTest) -> Verdict {
    let law = &FOREIGN_CURSOR;
    if at.service.capabilities().resume != Resume::AnyCursor {
        return law.not_declared("resume after any cursor");
    }
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, Start::Earliest).await?;
    let first = scene.publish_fresh(&address).await?;
    reader.read(&[first]).await?;
    for len in [0, 1, 9, 200, Cursor::MAX_LEN] {
        let mut bytes = vec![0; len];
        scene.random.fill(&mut bytes);
        let cursor = law.needs("a cursor", Cursor::new(bytes))?;
        let added = reader
            .subscription
            .add(address.clone(), Start::After(cursor))
            .await;
        let kind = added.err().map(|error| error.kind());
        ensure!(
            law,
            kind == Some(ErrorKind::Misuse),
            "a random cursor of {len} bytes gave {kind:?}"
        );
    }
    let due = scene.publish_all(&address, 2).await?;
    reader.read(&due).await?;
    Ok(())
}
