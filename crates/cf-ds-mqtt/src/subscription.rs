use std::sync::Arc;

use cf_core::{BoxFuture, Cursor, Delivery, DeliveryAddress, Result, Start, Subscription};
use parking_lot::Mutex;
use rumqttc::QoS;
use tokio::sync::Notify;

use crate::Error;
use crate::link::{Link, News};
use crate::service::{Shared, Slot};
use crate::session::Session;

/// A session at the broker, over a connection of its own.
pub(crate) struct MqttSubscription {
    shared: Arc<Shared>,
    link: Link,
    half: Arc<Half>,
    _slot: Slot,
}

struct Half {
    session: Mutex<Session>,
    wake: Notify,
}

impl MqttSubscription {
    pub(crate) async fn open(shared: Arc<Shared>) -> Result<Self, Error> {
        let options = &shared.target.options;
        let slot = shared.slot()?;
        let session = Session::new(options.receive_maximum, options.max_addresses);
        let half = Arc::new(Half {
            session: Mutex::new(session),
            wake: Notify::new(),
        });
        let told = half.clone();
        let tell = move |news| {
            let mut session = told.session.lock();
            match news {
                News::Connected { session_present } => session.connect(session_present),
                News::Lost => session.lose(),
                News::Came(publish) => session.came(*publish),
            }
            drop(session);
            told.wake.notify_one();
        };
        let (target, access) = (&shared.target, &shared.access);
        let link = Link::open(target, access, slot.client_id.clone(), true, tell).await?;
        // A session of another subscription may go on: what it was told of is no loss.
        half.session.lock().lost_topics.clear();
        Ok(Self {
            shared,
            link,
            half,
            _slot: slot,
        })
    }

    async fn subscribe(&self, topic: &str) -> Result<(), Error> {
        if !self.link.is_up() {
            return Err(Error::Away);
        }
        let request = async {
            let subscribing = self.link.client.subscribe_tracked(topic, QoS::AtLeastOnce);
            let notice = subscribing.await.map_err(|_| Error::NoTask)?;
            let ack = notice.wait_async().await;
            ack.map_err(|error| Error::Busy(error.to_string()))
        };
        let ack = self
            .link
            .answer(self.shared.target.options.timeout, request)
            .await??;
        match ack
            .return_codes
            .iter()
            .all(|code| format!("{code:?}").starts_with("Success"))
        {
            true => Ok(()),
            false => Err(Error::Refused(format!("{:?}", ack.return_codes))),
        }
    }

    /// Acknowledges what is due, as far as the connection's task has room; what has
    /// none comes again.
    fn acknowledge_due(&self) {
        for publish in self.half.session.lock().due() {
            let _ = self.link.client.try_ack(&publish);
        }
    }
}

impl Subscription for MqttSubscription {
    fn add(&mut self, address: DeliveryAddress, _: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let topic = self.shared.topic(&address);
            self.half.session.lock().add(&topic, &address)?;
            self.subscribe(&topic).await?;
            self.half.wake.notify_one();
            Ok(())
        })
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        let topic = self.shared.topic(address);
        self.half.session.lock().remove(&topic);
        let _ = self.link.client.try_unsubscribe(topic);
        self.acknowledge_due();
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        Box::pin(async {
            loop {
                let lost = self.half.session.lock().lost_topics.last().cloned();
                if let Some(topic) = lost {
                    self.subscribe(&topic).await?;
                    self.half
                        .session
                        .lock()
                        .lost_topics
                        .retain(|lost| *lost != topic);
                    continue;
                }
                let taken = self.half.session.lock().take();
                self.acknowledge_due();
                if let Some(taken) = taken {
                    return Ok(taken?);
                }
                self.half.wake.notified().await;
            }
        })
    }

    fn acknowledge(&mut self, address: &DeliveryAddress, cursor: &Cursor) {
        self.half.session.lock().acknowledge(address, cursor);
        self.acknowledge_due();
    }
}
