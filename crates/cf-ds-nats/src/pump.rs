use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message, Subscriber};
use bytes::Bytes;
use cf_core::DeliveryAddress;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FuturesUnordered, SelectAll};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::Error;
use crate::backlog::Batch;
use crate::connection::Links;
use crate::cursor::Incarnation;
use crate::reader::{Change, Kept, Need};
use crate::service::Shared;
use crate::stream::Stream;
use crate::subscription::Half;

/// How many requests are on their way at once.
const MAX_REQUESTS: usize = 64;
/// How many of them are for a batch.
const MAX_BATCHES: usize = 4;
/// How many addresses the server is told of before what came is looked at.
const MAX_CHANGES: usize = 256;
/// How many messages are taken at once.
const BATCH: usize = 128;
/// How many addresses are audited at a time.
const AUDITED: usize = 256;
/// The pause after a request that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The task of a subscription: it moves what the streams publish again, and what
/// they have beside that, to the reader.
pub(crate) struct Pump {
    shared: Arc<Shared>,
    half: Arc<Half>,
    links: watch::Receiver<Links>,
    before: Links,
    listening: HashMap<DeliveryAddress, AbortHandle>,
    listeners: SelectAll<Listener>,
    tasks: FuturesUnordered<cf_core::BoxFuture<'static, Done>>,
    requests: usize,
    batches: usize,
    /// Whether the server gives batches, as far as is known.
    gives_batches: bool,
    is_refreshing: bool,
    not_before: Option<Instant>,
    audit_at: Instant,
}

type Listener = futures_util::stream::BoxStream<'static, (DeliveryAddress, Message)>;

/// What a request has come to.
enum Done {
    Read(Need, Result<Option<(u64, Bytes)>, Error>),
    ReadBatch(Need, Result<Batch, Error>),
    Refreshed(Result<(), Error>),
    Audited(Arc<Stream>, Result<u64, Error>),
}

impl Pump {
    pub(crate) fn new(shared: Arc<Shared>, half: Arc<Half>) -> Self {
        let mut links = shared.directory.connection.links();
        let before = *links.borrow_and_update();
        let audit_at = Instant::now() + shared.options.audit_interval;
        Self {
            shared,
            half,
            links,
            before,
            listening: HashMap::new(),
            listeners: SelectAll::new(),
            tasks: FuturesUnordered::new(),
            requests: 0,
            batches: 0,
            gives_batches: true,
            is_refreshing: false,
            not_before: None,
            audit_at,
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            let has_more = self.change().await;
            self.ask();
            let pause = self.not_before;
            tokio::select! {
                biased;
                changed = self.links.changed() => match changed {
                    Ok(()) => self.look_at_links(),
                    // The connection is closed for good.
                    Err(_) => return,
                },
                Some(done) = self.tasks.next(), if !self.tasks.is_empty() => self.take(done),
                Some(first) = self.listeners.next(), if !self.listeners.is_empty() => {
                    self.offer(first);
                }
                () = self.half.work.notified() => {}
                () = std::future::ready(()), if has_more => {}
                () = sleep_until(pause.unwrap_or(self.audit_at)), if pause.is_some() => {
                    self.not_before = None;
                }
                () = sleep_until(self.audit_at) => self.audit(),
            }
        }
    }

    /// Tells the server of new addresses and of those that are gone; says whether
    /// there are more.
    async fn change(&mut self) -> bool {
        let changes = self.half.reader.lock().changes(MAX_CHANGES);
        for change in changes {
            match change {
                Change::Unlisten(address) => {
                    if let Some(listener) = self.listening.remove(&address) {
                        listener.abort();
                    }
                }
                Change::Listen(address, subject) => {
                    let client = self.shared.directory.connection.client();
                    let Ok(subscriber) = client.subscribe(subject).await else {
                        // The client is closed, which the links tell.
                        continue;
                    };
                    let (listener, handle) = listen(address.clone(), subscriber);
                    self.listeners.push(listener);
                    self.listening.insert(address.clone(), handle);
                    // From here on a request comes to the server after this.
                    self.half.reader.lock().listens(&address);
                }
            }
        }
        self.half.reader.lock().has_changes()
    }

    /// Asks the streams for what the reader needs.
    fn ask(&mut self) {
        if self.not_before.is_some() {
            return;
        }
        if !self.shared.directory.connection.is_up() {
            self.not_before = Some(Instant::now() + PAUSE);
            return;
        }
        let streams = self.shared.directory.streams();
        let most = MAX_REQUESTS - self.requests;
        let batches = match self.gives_batches {
            true => MAX_BATCHES - self.batches,
            false => 0,
        };
        let (needs, is_missing) = self.half.reader.lock().needs(most, batches, &streams);
        self.requests += needs.len();
        for need in needs {
            let shared = self.shared.clone();
            self.batches += usize::from(need.is_batch);
            self.tasks.push(Box::pin(async move {
                let (stream, spot) = (&need.stream, &need.spot);
                let (from, known) = (need.after + 1, need.known);
                match need.is_batch {
                    true => {
                        let found = shared.directory.batch_of(stream, spot, from).await;
                        Done::ReadBatch(need, found)
                    }
                    false => {
                        let found = shared.directory.next_of(stream, spot, from, known).await;
                        Done::Read(need, found)
                    }
                }
            }));
        }
        if is_missing {
            self.refresh();
        }
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Read(need, found) => {
                self.requests -= 1;
                if let Err(error) = &found {
                    self.not_before = Some(Instant::now() + PAUSE);
                    if error.asks_for_streams() {
                        self.refresh();
                    }
                }
                let mut reader = self.half.reader.lock();
                reader.fill(&need, found);
                if reader.is_ready() {
                    self.half.wake.notify_one();
                }
            }
            Done::ReadBatch(need, found) => {
                self.requests -= 1;
                self.batches -= 1;
                if let Err(error) = &found {
                    // It may not be allowed to: then one by one.
                    tracing::debug!(%error, "no batch of messages");
                    self.gives_batches = false;
                }
                let found = found.unwrap_or_default();
                let mut reader = self.half.reader.lock();
                reader.fill_batch(&need, found);
                if reader.is_ready() {
                    self.half.wake.notify_one();
                }
            }
            Done::Refreshed(refreshed) => {
                self.is_refreshing = false;
                match refreshed {
                    Ok(()) => self.half.reader.lock().doubt_all(),
                    Err(error) => {
                        tracing::debug!(%error, "the streams can't be listed");
                        self.not_before = Some(Instant::now() + PAUSE);
                    }
                }
            }
            Done::Audited(stream, Ok(last)) => {
                self.half.reader.lock().audit(&stream, last, AUDITED);
            }
            Done::Audited(_, Err(error)) if error.asks_for_streams() => self.refresh(),
            Done::Audited(_, Err(_)) => {}
        }
    }

    /// Shows the reader what came, and what else is there already.
    fn offer(&mut self, first: (DeliveryAddress, Message)) {
        let mut is_other = false;
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Some(Some(next)) = self.listeners.next().now_or_never()
        {
            batch.push(next);
        }
        let streams = self.shared.directory.streams();
        let mut reader = self.half.reader.lock();
        for (address, message) in batch {
            let Some(kept) = kept(message) else { continue };
            match streams.incarnation(kept.incarnation) {
                Some(stream) => stream.see(kept.sequence),
                None => is_other = true,
            }
            is_other |= reader.offer(&address, kept);
        }
        if reader.is_ready() {
            self.half.wake.notify_one();
        }
        drop(reader);
        if is_other {
            self.refresh();
        }
    }

    fn refresh(&mut self) {
        if self.is_refreshing {
            return;
        }
        self.is_refreshing = true;
        let shared = self.shared.clone();
        self.tasks.push(Box::pin(async move {
            Done::Refreshed(shared.directory.refresh().await.map(|_| ()))
        }));
    }

    fn look_at_links(&mut self) {
        let links = *self.links.borrow_and_update();
        let mut reader = self.half.reader.lock();
        if links.doubts != self.before.doubts {
            self.gives_batches = true;
            reader.recover();
            reader.doubt_all();
        } else if links.lost != self.before.lost {
            reader.lose();
            self.half.wake.notify_one();
        }
        self.before = links;
    }

    fn audit(&mut self) {
        self.audit_at = Instant::now() + self.shared.options.audit_interval;
        if self.listening.is_empty() || !self.shared.directory.connection.is_up() {
            return;
        }
        for stream in self.shared.directory.streams().all() {
            let shared = self.shared.clone();
            self.tasks.push(Box::pin(async move {
                let last = shared.directory.last(&stream).await;
                Done::Audited(stream, last)
            }));
        }
    }
}

fn listen(address: DeliveryAddress, subscriber: Subscriber) -> (Listener, AbortHandle) {
    let (handle, registration) = AbortHandle::new_pair();
    let messages = subscriber.map(move |message| (address.clone(), message));
    (Abortable::new(messages, registration).boxed(), handle)
}

/// What the headers of a message say that a stream has published again.
fn kept(message: Message) -> Option<Kept> {
    let headers = message.headers.as_ref()?;
    let stream = headers.get("Nats-Stream")?.as_str();
    Some(Kept {
        incarnation: Incarnation::of_stream(stream),
        sequence: number(headers, "Nats-Sequence")?,
        last: number(headers, "Nats-Last-Sequence")?,
        payload: message.payload,
    })
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.as_str().parse().ok()
}
