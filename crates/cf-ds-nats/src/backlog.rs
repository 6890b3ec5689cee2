use std::ops::ControlFlow;

use async_nats::Message;
use async_nats::jetstream;
use bytes::Bytes;

use crate::Error;
use crate::api::{ConsumerAnswer, ConsumerConfig, CreateConsumer, PullRequest};
use crate::place::Spot;
use crate::stream::{Directory, Stream, check};

/// Messages that were read at once.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<(u64, Bytes)>,
    pub(crate) has_more: bool,
}

impl Directory {
    /// How many messages a batch has at most: fewer than wait for a task.
    pub(crate) const BATCH: usize = 120;
    /// How many bytes of messages a batch has at most, if it has more than one.
    const BATCH_BYTES: usize = 1024 * 1024;
    /// How long the server keeps a consumer whose client has gone, in nanoseconds.
    const ABANDONED: u64 = 10_000_000_000;

    /// Messages of an address whose numbers are at least `from`, without a gap, and
    /// whether there are more. None means nothing: the consumer may be on a server
    /// that lags behind.
    pub(crate) async fn batch_of(
        &self,
        stream: &Stream,
        spot: &Spot,
        from: u64,
    ) -> Result<Batch, Error> {
        let create = CreateConsumer {
            stream_name: &stream.name,
            config: ConsumerConfig {
                deliver_policy: "by_start_sequence",
                opt_start_seq: from,
                filter_subject: &spot.publish,
                ack_policy: "none",
                replay_policy: "instant",
                inactive_threshold: Self::ABANDONED,
                num_replicas: 1,
                mem_storage: true,
            },
        };
        let create = serde_json::to_vec(&create).map_err(|_| Error::NoAnswer)?;
        let method = format!("CONSUMER.CREATE.{}", stream.name);
        let made: ConsumerAnswer = self.api(&method, create.into()).await?;
        check(made.error)?;
        let read = self.pull(stream, &made.name).await;
        let delete = format!("$JS.API.CONSUMER.DELETE.{}.{}", stream.name, made.name);
        // If that does not arrive, the server forgets it by itself.
        let _ = self.connection.client().publish(delete, Bytes::new()).await;
        read
    }

    async fn pull(&self, stream: &Stream, consumer: &str) -> Result<Batch, Error> {
        let pull = PullRequest {
            batch: Self::BATCH,
            max_bytes: Self::BATCH_BYTES,
            no_wait: true,
        };
        let pull = serde_json::to_vec(&pull).map_err(|_| Error::NoAnswer)?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{consumer}", stream.name);
        let context = jetstream::new(self.connection.client().clone());
        let mut batch = Batch::default();
        let take = |message: Message| {
            // A status ends it: there are no more, or no more bytes may come.
            let message = jetstream::Message {
                message,
                context: context.clone(),
            };
            let Ok(info) = message.info() else {
                return ControlFlow::Break(());
            };
            if info.consumer_sequence != batch.messages.len() as u64 + 1 {
                return ControlFlow::Break(());
            }
            let (sequence, pending) = (info.stream_sequence, info.pending);
            stream.see(sequence);
            batch.messages.push((sequence, message.message.payload));
            batch.has_more = pending > 0;
            match pending == 0 || batch.messages.len() == Self::BATCH {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let done = self.connection.gather(subject, pull.into(), take).await;
        match batch.messages.is_empty() {
            true => done.map(|()| batch),
            // What came before the connection broke is good.
            false => Ok(batch),
        }
    }
}
