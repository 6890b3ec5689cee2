use std::time::Duration;

use cf_core::{
    BoxFuture, Cursor, Delivery, DeliveryAddress, Error as CoreError, Result, Start, Subscription,
};
use futures_util::StreamExt;
use futures_util::future::select_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::cursor::Places;
use super::link::Link;
use super::window::Window;
use crate::Error;
use crate::digest::Digest;

/// Reads several services and gives each payload once.
pub(super) struct RedundantSubscription {
    set: Digest,
    links: Vec<Link>,
    window: Window,
    grace: Duration,
    /// Which link is asked first: none starves the others.
    turn: usize,
}

impl RedundantSubscription {
    pub(super) fn new(set: Digest, links: Vec<Link>, window: Window, grace: Duration) -> Self {
        Self {
            set,
            links,
            window,
            grace,
            turn: 0,
        }
    }

    async fn add_to_links(&mut self, address: DeliveryAddress, start: Start) -> Result<()> {
        let places = match &start {
            Start::After(cursor) => Some(Places::decode(cursor, &self.set, self.links.len())?),
            _ => None,
        };
        let start_of = |service| match &places {
            Some(places) => places.start(service),
            None => start.clone(),
        };
        let links = self.links.iter_mut().enumerate();
        let before: Vec<_> = links
            .map(|(service, link)| link.want(&address, start_of(service)))
            .collect();
        let mut refusal = self.settle().await;
        if !self.links.iter().any(|link| link.has(&address)) {
            if self.links.iter().any(|link| link.is_foreign(&address)) {
                refusal = Some(Error::ForeignCursor.into());
            }
            for (link, before) in self.links.iter_mut().zip(before) {
                link.unwant(&address, before);
            }
            let away = || CoreError::unavailable("none of the services can be reached");
            return Err(refusal.unwrap_or_else(away));
        }
        // A service that forgot what another still knows has lost its state:
        // whatever it has now is new.
        let again = self.links.iter().any(|link| link.is_foreign(&address));
        for link in &mut self.links {
            link.begin_anew(&address);
        }
        if again {
            self.settle().await;
        }
        self.window.remove(&address);
        Ok(())
    }

    /// Lets the links open and add what is missing: waits for the first of those
    /// that were not late before, and then only a little for the others.
    async fn settle(&mut self) -> Option<CoreError> {
        let all_late = self.links.iter().all(Link::is_late);
        let mut settling: FuturesUnordered<_> = self
            .links
            .iter_mut()
            .enumerate()
            .filter(|(_, link)| all_late || !link.is_late())
            .map(|(service, link)| async move { (service, link.settle().await) })
            .collect();
        let mut refusal = None;
        let mut until = None;
        let mut done = Vec::new();
        let count = settling.len();
        while done.len() < count {
            let next = match until {
                None => settling.next().await,
                Some(until) => match timeout_at(until, settling.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            let Some((service, settled)) = next else {
                break;
            };
            done.push(service);
            match settled {
                Ok(()) => until = until.or(Some(Instant::now() + self.grace)),
                Err(error) => refusal = Some(error),
            }
        }
        drop(settling);
        for (service, link) in self.links.iter_mut().enumerate() {
            if !done.contains(&service) {
                link.be_late();
            }
        }
        refusal
    }

    async fn next_of_any(&mut self) -> Result<Delivery> {
        loop {
            self.turn = (self.turn + 1) % self.links.len();
            let mut next: Vec<_> = self
                .links
                .iter_mut()
                .enumerate()
                .map(|(service, link)| Box::pin(async move { (service, link.next().await) }))
                .collect();
            next.rotate_left(self.turn);
            let ((service, delivery), _, others) = select_all(next).await;
            drop(others);
            let Delivery {
                address, payload, ..
            } = delivery;
            // What a service gave is behind it before anything is waited for.
            if self.window.admit(service, &address, &payload) {
                let places = self.links.iter().map(|link| link.place(&address));
                let cursor = Places(places.collect()).encode(&self.set);
                return Ok(Delivery {
                    address,
                    payload,
                    cursor,
                });
            }
        }
    }
}

impl Subscription for RedundantSubscription {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.add_to_links(address, start))
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.links.iter_mut().for_each(|link| link.remove(address));
        self.window.remove(address);
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        Box::pin(self.next_of_any())
    }

    fn acknowledge(&mut self, address: &DeliveryAddress, cursor: &Cursor) {
        let Ok(places) = Places::decode(cursor, &self.set, self.links.len()) else {
            return;
        };
        for (link, place) in self.links.iter_mut().zip(places.0) {
            if let Some(cursor) = place {
                link.acknowledge(address, &cursor);
            }
        }
    }
}
