use std::sync::Arc;

use cf_core::{BoxFuture, Cursor, Delivery, DeliveryAddress, Result, Start, Subscription};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::Error;
use crate::cursor::Incarnation;
use crate::pump::Pump;
use crate::reader::{Place, Reader};
use crate::service::Shared;

/// A reader of the streams, filled by a task of its own.
pub(crate) struct NatsSubscription {
    shared: Arc<Shared>,
    half: Arc<Half>,
    task: JoinSet<()>,
}

/// What a subscription and its task share.
pub(crate) struct Half {
    pub(crate) reader: Mutex<Reader>,
    /// Wakes whoever waits for a payload.
    pub(crate) wake: Notify,
    /// Wakes the task.
    pub(crate) work: Notify,
}

impl NatsSubscription {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let half = Arc::new(Half {
            reader: Mutex::new(Reader::new(shared.options.max_addresses)),
            wake: Notify::new(),
            work: Notify::new(),
        });
        let mut task = JoinSet::new();
        task.spawn(Pump::new(shared.clone(), half.clone()).run());
        Self { shared, half, task }
    }

    /// Where in the streams an address starts.
    async fn place(&self, address: &DeliveryAddress, start: Start) -> Result<Place, Error> {
        let directory = &self.shared.directory;
        let spot = directory.place.spot(address);
        let place = |from| Place {
            spot: spot.clone(),
            from,
        };
        match start {
            Start::Earliest => Ok(place(None)),
            Start::Latest => {
                let stream = directory.stream(spot.prefix).await?;
                let last = directory.last_of(&stream, &spot).await?.unwrap_or(0);
                Ok(place(Some((stream.incarnation, last))))
            }
            Start::After(cursor) => {
                let named = Incarnation::of_cursor(&cursor).ok_or(Error::ForeignCursor)?;
                let is_known = || {
                    let streams = directory.streams();
                    let stream = streams.of(spot.prefix);
                    let stream = stream.filter(|stream| stream.incarnation == named.0);
                    stream.is_some_and(|stream| (1..=stream.seen()).contains(&named.1))
                };
                // Another client may have published it, or made the stream again.
                if !is_known() {
                    directory.refresh().await?;
                }
                match is_known() {
                    true => Ok(place(Some(named))),
                    false => Err(Error::ForeignCursor),
                }
            }
        }
    }
}

impl Subscription for NatsSubscription {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let place = self.place(&address, start).await?;
            self.half.reader.lock().add(address, place)?;
            self.half.work.notify_one();
            Ok(())
        })
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.half.reader.lock().remove(address);
        self.half.work.notify_one();
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        Box::pin(async {
            // Taking and answering are one step without a wait in between, so a
            // future that is dropped has taken nothing.
            loop {
                let (taken, is_hungry) = self.half.reader.lock().take();
                if is_hungry {
                    self.half.work.notify_one();
                }
                if let Some(taken) = taken {
                    return Ok(taken?);
                }
                tokio::select! {
                    () = self.half.wake.notified() => {}
                    Some(_) = self.task.join_next() => return Err(Error::NoTask.into()),
                }
            }
        })
    }

    /// Does nothing: the streams are shared and bounded, whoever has read them.
    fn acknowledge(&mut self, _: &DeliveryAddress, _: &Cursor) {}
}
