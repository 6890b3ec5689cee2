//! The engine's own client beside ours: what it lost, the servers lost.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const SUBJECT: &str = "bare";
/// How often it publishes.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(5);

/// Publishes to a stream of its own, and takes note of what is acknowledged.
pub(super) struct Bare {
    context: jetstream::Context,
    config: stream::Config,
    publishing: JoinHandle<()>,
    acknowledged: tokio::sync::watch::Receiver<Vec<u64>>,
}

impl Bare {
    pub(super) async fn start(servers: &str, replicas: usize) -> Self {
        let servers: Vec<_> = servers.split(',').map(str::to_owned).collect();
        let client = async_nats::connect(servers).await.unwrap();
        let mut context = jetstream::new(client);
        context.set_timeout(PATIENCE);
        let config = stream::Config {
            name: "bare".into(),
            subjects: vec![SUBJECT.into()],
            num_replicas: replicas,
            allow_direct: true,
            ..stream::Config::default()
        };
        context.get_or_create_stream(config.clone()).await.unwrap();
        let (sender, acknowledged) = tokio::sync::watch::channel(Vec::new());
        let publisher = context.clone();
        let publishing = tokio::spawn(async move {
            for number in 0_u64.. {
                let publishing = async {
                    let ack = publisher
                        .publish(SUBJECT, number.to_string().into())
                        .await
                        .ok()?;
                    ack.await.ok()
                };
                if let Ok(Some(_)) = timeout(PATIENCE, publishing).await {
                    sender.send_modify(|all| all.push(number));
                }
                sleep(PAUSE).await;
            }
        });
        Self {
            context,
            config,
            publishing,
            acknowledged,
        }
    }

    /// Says how many of those that were acknowledged are not in the stream.
    pub(super) async fn report(self) -> usize {
        self.publishing.abort();
        let acknowledged = self.acknowledged.borrow().clone();
        let stream = loop {
            match self.context.get_or_create_stream(self.config.clone()).await {
                Ok(stream) => break stream,
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        };
        let mut kept = std::collections::BTreeSet::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            if let Ok(message) = stream.get_raw_message(sequence).await {
                kept.insert(
                    String::from_utf8_lossy(&message.payload)
                        .parse()
                        .unwrap_or(u64::MAX),
                );
            }
        }
        let lost = acknowledged
            .iter()
            .filter(|number| !kept.contains(number))
            .count();
        eprintln!(
            "the bare client beside it: {} acknowledged, {lost} lost by the servers",
            acknowledged.len()
        );
        lost
    }
}
