use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    BoxFuture, Capabilities, Cursor, Delivery, DeliveryAddress, DeliveryService, Locator, Outcome,
    ProtocolId, PublishRequest, Result, Resume, Start, Subscription,
};

/// A service whose subscriptions give what was put into it, at whatever address
/// they ask for, and which keeps what is published.
#[derive(Clone)]
pub(crate) struct Canned {
    locator: Locator,
    max_payload_len: usize,
    payloads: Arc<Mutex<VecDeque<Bytes>>>,
    published: Arc<Mutex<Vec<Bytes>>>,
}

impl Canned {
    pub(crate) fn new(name: &str, max_payload_len: usize) -> Self {
        Self {
            locator: Locator::parse(&format!("canned:{name}")).expect("a locator"),
            max_payload_len,
            payloads: Arc::default(),
            published: Arc::default(),
        }
    }

    pub(crate) fn put(&self, payload: Bytes) {
        self.payloads.lock().expect("one thread").push_back(payload);
    }

    /// What was published since.
    pub(crate) fn take_published(&self) -> Vec<Bytes> {
        std::mem::take(&mut *self.published.lock().expect("one thread"))
    }
}

impl DeliveryService for Canned {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = ProtocolId::from_static("/cf/ds/canned/1");
        &ID
    }

    fn locator(&self) -> &Locator {
        &self.locator
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            retention: Some(Duration::from_secs(3600)),
            resume: Resume::AnyCursor,
            order: true,
            ..Capabilities::none(self.max_payload_len)
        }
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        let mut published = self.published.lock().expect("one thread");
        published.push(request.payload);
        Box::pin(std::future::ready(Outcome::Accepted { cursor: None }))
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        let subscription: Box<dyn Subscription> = Box::new(Reader {
            payloads: self.payloads.clone(),
            address: None,
            number: 0,
        });
        Box::pin(std::future::ready(Ok(subscription)))
    }
}

struct Reader {
    payloads: Arc<Mutex<VecDeque<Bytes>>>,
    address: Option<DeliveryAddress>,
    number: u64,
}

impl Subscription for Reader {
    fn add(&mut self, address: DeliveryAddress, _: Start) -> BoxFuture<'_, Result<()>> {
        self.address = Some(address);
        Box::pin(std::future::ready(Ok(())))
    }

    fn remove(&mut self, _: &DeliveryAddress) {
        self.address = None;
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        Box::pin(async {
            let next = match &self.address {
                Some(address) => {
                    let payload = self.payloads.lock().expect("one thread").pop_front();
                    payload.map(|payload| (address.clone(), payload))
                }
                None => None,
            };
            let Some((address, payload)) = next else {
                return std::future::pending().await;
            };
            self.number += 1;
            let cursor = Cursor::new(self.number.to_be_bytes().to_vec()).ok();
            Ok(Delivery {
                address,
                payload,
                cursor,
            })
        })
    }

    fn acknowledge(&mut self, _: &DeliveryAddress, _: &Cursor) {}
}
