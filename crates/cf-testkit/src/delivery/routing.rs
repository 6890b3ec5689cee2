use cf_core::{DeliveryAddress, Random};

use super::DeliveryUnderTest;
use super::law::{DROPPED, EVERY_SUBSCRIBER, OTHER_ADDRESSES, REMOVED};
use super::reader::{Scene, is_among};
use crate::Verdict;
use crate::law::ensure;

/// Three subscribers, two at the service that publishes and one beside it, get
/// payloads of many lengths byte for byte.
///
/// # Errors
/// The violation, if there is one.
pub async fn every_subscriber_gets_each_payload(at: DeliveryUnderTest) -> Verdict {
    let law = &EVERY_SUBSCRIBER;
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut readers = vec![scene.reader().await?, scene.reader().await?];
    readers.push(scene.reader_of(&*at.beside).await?);
    for reader in &mut readers {
        reader.add(&address, scene.earliest()).await?;
    }
    let mut published = Vec::new();
    for len in [20, 21, 127, 128, 255, 256, 1000, 4096, 16_383, 65_536] {
        // Zeros at the end, and every byte within.
        let zeros = scene.payload(len);
        let mut all = scene.payload(len).to_vec();
        (20..all.len()).for_each(|at| all[at] = at as u8);
        for payload in [zeros, all.into()] {
            published.push(scene.publish(&address, payload).await?);
        }
    }
    for reader in &mut readers {
        for delivery in reader.read(&published).await? {
            let found = &delivery.payload;
            ensure!(
                law,
                delivery.address == address,
                "it came as for {:?}",
                delivery.address
            );
            let len = found.len();
            ensure!(
                law,
                is_among(found, &published),
                "{len} bytes came that nobody published"
            );
        }
    }
    Ok(())
}

/// A subscriber of one address gets nothing that was published to addresses
/// that look alike or hold what a service may take for a pattern.
///
/// # Errors
/// The violation, if there is one.
pub async fn nothing_comes_for_other_addresses(at: DeliveryUnderTest) -> Verdict {
    let law = &OTHER_ADDRESSES;
    let mut scene = Scene::new(law, &at);
    let mut own = vec![0; 24];
    scene.random.fill(&mut own);
    let address = |bytes: Vec<u8>| law.needs("an address", DeliveryAddress::new(bytes));
    let mut others = Vec::new();
    for tail in [
        &b"."[..],
        b".a",
        b"*",
        b">",
        b"/",
        b"/#",
        b"+",
        b"\0",
        b" ",
        b"%",
        &[0xff],
    ] {
        others.push(address([&own[..], tail].concat())?);
        others.push(address(tail.to_vec())?);
    }
    others.push(address(own[..23].to_vec())?);
    let mut flipped = own.clone();
    flipped[0] ^= 0x20;
    others.push(address(flipped)?);
    others.push(address([&own[..], &[0; 40]].concat())?);
    let own = address(own)?;
    let mut reader = scene.reader_at(&own, scene.earliest()).await?;
    let mut wanted = Vec::new();
    for other in &others {
        scene.publish_fresh(other).await?;
        wanted.push(scene.publish_fresh(&own).await?);
    }
    for delivery in reader.read(&wanted).await? {
        let (to, payload) = (&delivery.address, &delivery.payload);
        ensure!(
            law,
            *to == own,
            "a subscriber of {own:?} got a payload as for {to:?}"
        );
        ensure!(
            law,
            is_among(payload, &wanted),
            "a subscriber of {own:?} got what was published to another address"
        );
    }
    Ok(())
}

/// After `remove` nothing of the address comes, and what belongs to another
/// address still does.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_removed_address_brings_nothing_more(at: DeliveryUnderTest) -> Verdict {
    let law = &REMOVED;
    let mut scene = Scene::new(law, &at);
    let (removed, kept) = (scene.address(), scene.address());
    let mut reader = scene.reader_at(&removed, scene.earliest()).await?;
    reader.add(&kept, scene.earliest()).await?;
    let before = [
        scene.publish_fresh(&removed).await?,
        scene.publish_fresh(&kept).await?,
    ];
    reader.read(&before).await?;
    // Some that waits within the subscription, and some that is yet to come.
    scene.publish_all(&removed, 3).await?;
    reader.subscription.remove(&removed);
    scene.publish_all(&removed, 3).await?;
    let after = scene.publish_all(&kept, 3).await?;
    for delivery in reader.read(&after).await? {
        ensure!(
            law,
            delivery.address != removed,
            "a payload came after the address was removed"
        );
    }
    Ok(())
}

/// After a subscription was dropped, publishing to its address and the other
/// subscribers go on; a new one begins anew.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_dropped_subscription_is_over_and_harms_nobody(at: DeliveryUnderTest) -> Verdict {
    let law = &DROPPED;
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut reader = scene.reader_at(&address, scene.earliest()).await?;
    for _ in 0..20 {
        let dropped = scene.reader_at(&address, scene.earliest()).await?;
        scene.publish_fresh(&address).await?;
        drop(dropped);
    }
    let mut published = scene.publish_all(&address, 20).await?;
    reader.read(&published).await?;
    let mut later = scene.reader_at(&address, cf_core::Start::Latest).await?;
    published = scene.publish_all(&address, 3).await?;
    for delivery in later.read(&published).await? {
        ensure!(
            law,
            delivery.address == address,
            "another address's payload came"
        );
    }
    reader.read(&published).await?;
    Ok(())
}
