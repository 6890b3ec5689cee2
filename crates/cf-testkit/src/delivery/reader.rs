//! How the laws publish and read.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Condition, Cursor, Delivery, DeliveryAddress, DeliveryService, Outcome, PayloadId,
    PublishRequest, Random, Resume, Start, Subscription,
};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::DeliveryUnderTest;
use crate::{Law, SeededRandom, Verdict, Violation};

/// How long to wait before a call that can't be made now is made again.
const RETRY: Duration = Duration::from_millis(20);

/// What one law of one run publishes, and where.
pub(super) struct Scene<'a> {
    pub(super) law: &'static Law,
    pub(super) at: &'a DeliveryUnderTest,
    pub(super) random: SeededRandom,
    max_payload_len: usize,
    count: u64,
}

impl<'a> Scene<'a> {
    pub(super) fn new(law: &'static Law, at: &'a DeliveryUnderTest) -> Self {
        Self {
            law,
            at,
            random: at.random(),
            max_payload_len: at.service.capabilities().max_payload_len,
            count: 0,
        }
    }

    pub(super) fn address(&mut self) -> DeliveryAddress {
        DeliveryAddress::random(&mut self.random)
    }

    /// A payload that nobody published before: 12 random bytes, a number, and
    /// then zeros up to `len`, or to what the service takes.
    pub(super) fn payload(&mut self, len: usize) -> Bytes {
        self.count += 1;
        let mut payload = vec![0; len.max(20).min(self.max_payload_len)];
        let head = payload.len().min(12);
        self.random.fill(&mut payload[..head]);
        let number = self.count.to_be_bytes();
        if let Some(place) = payload.get_mut(12..20) {
            place.copy_from_slice(&number);
        }
        payload.into()
    }

    /// Publishes a fresh payload.
    pub(super) async fn publish_fresh(&mut self, to: &DeliveryAddress) -> Verdict<Published> {
        let payload = self.payload(20);
        self.publish(to, payload).await
    }

    pub(super) async fn publish(
        &mut self,
        to: &DeliveryAddress,
        payload: Bytes,
    ) -> Verdict<Published> {
        let id = PayloadId::random(&mut self.random);
        let service = &*self.at.service;
        publish(self.law, self.at, service, id, to, payload).await
    }

    /// Publishes `count` fresh payloads, ten at a time.
    pub(super) async fn publish_many(
        &mut self,
        to: &DeliveryAddress,
        count: usize,
    ) -> Verdict<Vec<Published>> {
        let mut publishing = JoinSet::new();
        for _ in 0..10 {
            let (law, at, to) = (self.law, self.at.clone(), to.clone());
            let payloads: Vec<_> = (0..count / 10)
                .map(|_| (PayloadId::random(&mut self.random), self.payload(20)))
                .collect();
            publishing.spawn(async move {
                let mut published = Vec::new();
                for (id, payload) in payloads {
                    published.push(publish(law, &at, &*at.service, id, &to, payload).await?);
                }
                Ok(published)
            });
        }
        let published: Verdict<Vec<_>> = publishing.join_all().await.into_iter().collect();
        Ok(published?.into_iter().flatten().collect())
    }

    pub(super) async fn publish_all(
        &mut self,
        to: &DeliveryAddress,
        count: usize,
    ) -> Verdict<Vec<Published>> {
        let mut published = Vec::new();
        for _ in 0..count {
            published.push(self.publish_fresh(to).await?);
        }
        Ok(published)
    }

    /// Where a subscription can start at the earliest.
    pub(super) fn earliest(&self) -> Start {
        match self.at.service.capabilities().resume {
            Resume::No => Start::Latest,
            _ => Start::Earliest,
        }
    }

    /// Subscribes to nothing yet.
    pub(super) async fn reader(&self) -> Verdict<Reader<'a>> {
        self.reader_of(&*self.at.service).await
    }

    pub(super) async fn reader_of(&self, service: &dyn DeliveryService) -> Verdict<Reader<'a>> {
        let (law, at) = (self.law, self.at);
        let subscribing = async {
            loop {
                match service.subscribe().await {
                    Err(error) if error.is_retryable() => sleep(RETRY).await,
                    other => return other,
                }
            }
        };
        let subscription = within(law, at, "subscribing", subscribing).await?;
        Ok(Reader {
            law,
            at,
            subscription: law.needs("subscribing", subscription)?,
        })
    }

    /// Subscribes to an address.
    pub(super) async fn reader_at(
        &self,
        address: &DeliveryAddress,
        start: Start,
    ) -> Verdict<Reader<'a>> {
        let mut reader = self.reader().await?;
        reader.add(address, start).await?;
        Ok(reader)
    }
}

/// A payload that the service accepted.
#[derive(Clone, Debug)]
pub(super) struct Published {
    pub(super) payload: Bytes,
    pub(super) cursor: Option<Cursor>,
}

/// Publishes until the service accepts, as a client does.
pub(super) async fn publish(
    law: &Law,
    at: &DeliveryUnderTest,
    service: &dyn DeliveryService,
    id: PayloadId,
    to: &DeliveryAddress,
    payload: Bytes,
) -> Verdict<Published> {
    let publishing = async {
        loop {
            let mut request = PublishRequest::new(to.clone(), payload.clone());
            request.id = Some(id);
            match service.publish(request).await {
                Outcome::Accepted { cursor } => {
                    let payload = payload.clone();
                    return Ok(Published { payload, cursor });
                }
                Outcome::Queued | Outcome::Unavailable(_) | Outcome::Unknown(_) => {
                    sleep(RETRY).await;
                }
                other => {
                    let found = format!("a payload within the limit was not taken: {other:?}");
                    return Err(law.broken(found));
                }
            }
        }
    };
    within(law, at, "publishing", publishing).await?
}

/// Publishes once, under a condition.
pub(super) async fn publish_if(
    service: &dyn DeliveryService,
    to: &DeliveryAddress,
    payload: Bytes,
    last: Option<&Cursor>,
) -> Outcome {
    let mut request = PublishRequest::new(to.clone(), payload);
    request.condition = Some(match last {
        None => Condition::Empty,
        Some(cursor) => Condition::LastIs(cursor.clone()),
    });
    service.publish(request).await
}

pub(super) async fn within<T>(
    law: &Law,
    at: &DeliveryUnderTest,
    what: &str,
    future: impl Future<Output = T>,
) -> Verdict<T> {
    let late = |_| law.broken(format!("{what} took longer than {:?}", at.arrival));
    timeout(at.arrival, future).await.map_err(late)
}

/// Reads a subscription.
pub(super) struct Reader<'a> {
    law: &'static Law,
    at: &'a DeliveryUnderTest,
    pub(super) subscription: Box<dyn Subscription>,
}

impl Reader<'_> {
    pub(super) async fn add(&mut self, address: &DeliveryAddress, start: Start) -> Verdict {
        let (law, at) = (self.law, self.at);
        let adding = async {
            loop {
                let added = self.subscription.add(address.clone(), start.clone());
                match added.await {
                    Err(error) if error.is_retryable() => sleep(RETRY).await,
                    other => return other,
                }
            }
        };
        let added = within(law, at, "adding an address", adding).await?;
        law.needs("adding an address", added)
    }

    /// What comes within this time, if anything does.
    pub(super) async fn next_within(&mut self, patience: Duration) -> Verdict<Option<Delivery>> {
        let next = async {
            loop {
                match self.subscription.next().await {
                    Err(error) if error.is_retryable() => sleep(RETRY).await,
                    other => return other,
                }
            }
        };
        match timeout(patience, next).await {
            Err(_) => Ok(None),
            Ok(delivery) => Ok(Some(self.law.needs("waiting for a payload", delivery)?)),
        }
    }

    /// All that comes until nothing does for a while.
    pub(super) async fn rest(&mut self) -> Verdict<Vec<Delivery>> {
        let mut read = Vec::new();
        while let Some(delivery) = self.next_within(self.at.quiet).await? {
            read.push(delivery);
        }
        Ok(read)
    }

    /// All that comes until all of `due` came, and then until nothing does for a
    /// while. Where the service promises delivery, all of `due` has to come.
    pub(super) async fn read(&mut self, due: &[Published]) -> Verdict<Vec<Delivery>> {
        let mut missing: HashSet<&Bytes> = due.iter().map(|due| &due.payload).collect();
        let mut read = Vec::new();
        while !missing.is_empty() {
            let Some(delivery) = self.next_within(self.at.due()).await? else {
                break;
            };
            missing.remove(&delivery.payload);
            read.push(delivery);
        }
        if self.at.promises_delivery() && !missing.is_empty() {
            return Err(self.missing(&missing, due.len(), &read));
        }
        read.extend(self.rest().await?);
        Ok(read)
    }

    fn missing(&self, missing: &HashSet<&Bytes>, due: usize, read: &[Delivery]) -> Violation {
        let lens = |payloads: &mut dyn Iterator<Item = usize>| {
            let mut lens: Vec<_> = payloads.take(20).collect();
            lens.sort_unstable();
            lens
        };
        let missed = lens(&mut missing.iter().map(|payload| payload.len()));
        let came = lens(&mut read.iter().map(|delivery| delivery.payload.len()));
        self.law.broken(format!(
            "{} of {due} accepted payloads did not come within {:?}: of {missed:?} bytes; of those \
             that came, some have {came:?} bytes",
            missing.len(),
            self.at.arrival,
        ))
    }
}

/// The payloads of deliveries, each where it first stands.
pub(super) fn firsts(deliveries: &[Delivery]) -> Vec<&Bytes> {
    let mut seen = HashSet::new();
    let payloads = deliveries.iter().map(|delivery| &delivery.payload);
    payloads.filter(|payload| seen.insert(*payload)).collect()
}

/// Whether a payload is among what was published.
pub(super) fn is_among(payload: &Bytes, published: &[Published]) -> bool {
    published.iter().any(|one| one.payload == payload)
}
