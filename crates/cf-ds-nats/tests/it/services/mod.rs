//! Tests that need a server.

mod cluster;
mod conformance;
mod loss;
mod secure;
mod streams;

use std::time::Duration;

use cf_core::{
    Cursor, Delivery, DeliveryAddress, DeliveryService, Outcome, PayloadId, PublishRequest, Start,
    Subscription,
};
use cf_ds_nats::NatsService;
use tokio::time::{sleep, timeout};

fn address(name: &str) -> DeliveryAddress {
    DeliveryAddress::new(name.to_owned()).unwrap()
}

async fn subscribe(service: &dyn DeliveryService, to: &str, from: Start) -> Box<dyn Subscription> {
    let mut subscription = service.subscribe().await.unwrap();
    subscription.add(address(to), from).await.unwrap();
    subscription
}

/// Publishes until it is accepted, under one id, as a client does.
async fn publish(service: &NatsService, to: &str, number: u64) -> Cursor {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    loop {
        let mut request = PublishRequest::new(address(to), number.to_string());
        request.id = Some(PayloadId(id));
        match service.publish(request).await {
            Outcome::Accepted { cursor } => return cursor.unwrap(),
            Outcome::Unavailable(_) | Outcome::Unknown(_) => sleep(Duration::from_millis(10)).await,
            other => panic!("{other:?}"),
        }
    }
}

async fn next(subscription: &mut dyn Subscription) -> Delivery {
    let next = async {
        loop {
            match subscription.next().await {
                Ok(delivery) => return delivery,
                Err(error) if error.is_retryable() => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    timeout(Duration::from_secs(30), next)
        .await
        .expect("a payload did not come")
}
