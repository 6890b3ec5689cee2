use cf_core::PayloadId;
use tokio::task::JoinSet;

use super::DeliveryUnderTest;
use super::law::ORDER;
use super::reader::{Published, Scene, firsts, publish};
use crate::Verdict;
use crate::law::ensure;

/// Several publish at once; all subscribers get the same order, also a late one.
///
/// # Errors
/// The violation, if there is one.
pub async fn every_subscriber_sees_one_order(at: DeliveryUnderTest) -> Verdict {
    const PUBLISHERS: usize = 4;
    const EACH: usize = 25;
    let law = &ORDER;
    if !at.service.capabilities().order {
        return law.not_declared("order");
    }
    let mut scene = Scene::new(law, &at);
    let address = scene.address();
    let mut readers = vec![scene.reader().await?, scene.reader_of(&*at.beside).await?];
    for reader in &mut readers {
        reader.add(&address, scene.earliest()).await?;
    }
    let mut publishing = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let (at, address) = (at.clone(), address.clone());
        let payloads: Vec<_> = (0..EACH)
            .map(|_| (PayloadId::random(&mut scene.random), scene.payload(20)))
            .collect();
        publishing.spawn(async move {
            let service = [&at.service, &at.beside][publisher % 2].clone();
            let mut published = Vec::new();
            for (id, payload) in payloads {
                published.push(publish(law, &at, &*service, id, &address, payload).await?);
                tokio::task::yield_now().await;
            }
            Ok(published)
        });
    }
    let published: Verdict<Vec<_>> = publishing.join_all().await.into_iter().collect();
    let published: Vec<Published> = published?.into_iter().flatten().collect();
    if scene.at.service.capabilities().resume == cf_core::Resume::AnyCursor {
        readers.push(scene.reader_at(&address, scene.earliest()).await?);
    }
    let mut orders = Vec::new();
    for reader in &mut readers {
        orders.push(reader.read(&published).await?);
    }
    // Without a promise of delivery each may lack some: what two have in common
    // stands in one order.
    for (index, order) in orders.iter().enumerate().skip(1) {
        let (first, other) = (firsts(&orders[0]), firsts(order));
        let left: Vec<_> = first
            .iter()
            .filter(|payload| other.contains(payload))
            .collect();
        let right: Vec<_> = other
            .iter()
            .filter(|payload| first.contains(payload))
            .collect();
        ensure!(
            law,
            left == right,
            "subscriber {index} got another order than subscriber 0"
        );
    }
    Ok(())
}
