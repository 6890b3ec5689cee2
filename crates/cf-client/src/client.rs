use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Advertised, Advertisement, BundleInfo, Content, ContentId, ContentState, ConversationId, Error,
    InviteId, Locator, ParticipantId, ProtocolDescriptor, ProtocolId, Random, Result, Signal,
    Store, Timestamp,
};
use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::components::{Components, Counters, Profile};
use crate::driver::{ConversationInfo, Driver, confirmed_events, events_after};
use crate::event::{Event, Request};
use crate::lint::{self, Finding};
use crate::service::Unheard;
use crate::shell::{Job, Parts, RandomSource, Shell};

/// How many signals wait for a listener before the oldest is lost.
pub const MAX_SIGNALS: usize = 256;

/// A chat client: five components, carried by the driver on a tokio runtime.
///
/// Clones share one client. When the last is dropped, it stops at once, as if
/// the process had been killed; [`Client::shutdown`] stops it tidily.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) components: Arc<Components>,
    findings: Vec<Finding>,
    store: Arc<dyn Store>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    told: watch::Receiver<u64>,
    signals: broadcast::Receiver<(ConversationId, Signal)>,
    unheard: Unheard,
    task: Mutex<Option<JoinSet<()>>>,
}

impl Client {
    /// Opens the client that `store` holds, or a new one, on the current runtime.
    ///
    /// `random` gives a cryptographically secure source each time it is called.
    ///
    /// # Errors
    /// `Misuse` if [`lint`](crate::lint()) refuses the components, `Unsupported` for a store of a newer
    /// version, `Other` for a damaged one.
    pub fn open(
        components: Components,
        profile: Profile,
        store: Arc<dyn Store>,
        random: impl Fn() -> Box<dyn Random> + Send + Sync + 'static,
    ) -> Result<Self> {
        let findings = lint::checked(&components.descriptor())?;
        for finding in &findings {
            tracing::info!(code = finding.code, "{}", finding.message);
        }
        let components = Arc::new(components);
        let random: RandomSource = Arc::new(random);
        let (jobs, inbox) = mpsc::channel(64);
        let (tell, told) = watch::channel(0);
        let parts = Parts {
            components: components.clone(),
            profile,
            store: store.clone(),
            random,
        };
        let (signal, signals) = broadcast::channel(MAX_SIGNALS);
        let unheard = Unheard::default();
        let shell = Shell::new(parts, inbox, tell, signal, unheard.clone())?;
        let mut task = JoinSet::new();
        task.spawn(shell.run());
        let (jobs, task) = (Mutex::new(Some(jobs)), Mutex::new(Some(task)));
        Ok(Self {
            inner: Arc::new(Inner {
                components,
                findings,
                store,
                jobs,
                told,
                signals,
                unheard,
                task,
            }),
        })
    }

    /// The five choices as data, with what each component declares.
    pub fn descriptor(&self) -> ProtocolDescriptor {
        self.inner.components.descriptor()
    }

    /// What is weaker in this composition than it may seem.
    pub fn findings(&self) -> &[Finding] {
        &self.inner.findings
    }

    /// Gives a discovery what it is to publish.
    pub(crate) async fn advertise(
        &self,
        discovery: &ProtocolId,
        advertisement: Advertisement,
    ) -> Result<Advertised> {
        let components = &self.inner.components;
        advertise(components, discovery, advertisement).await
    }

    /// Finds who is behind a query and asks them into a conversation. Content
    /// can be sent at once; it arrives when they have accepted.
    ///
    /// # Errors
    /// `Unsupported` if no discovery takes the query or nothing is common,
    /// `Rejected` if several clients claim it; those of the components.
    pub async fn add(&self, query: &str) -> Result<ConversationId> {
        let bundles = self.resolve(query).await?;
        self.call(move |driver, now| driver.connect(&bundles, None, now))
            .await
    }

    /// Finds who is behind a query, and contacts nobody but the discovery.
    ///
    /// # Errors
    /// As [`Client::add`].
    pub async fn find(&self, query: &str) -> Result<BundleInfo> {
        let bundles = self.resolve(query).await?;
        self.call(move |driver, now| driver.read_bundles(&bundles, now))
            .await
    }

    /// As [`Client::add`], by one conversation protocol, whether or not the
    /// other client names it: it keeps the invite until it has the protocol.
    ///
    /// # Errors
    /// As [`Client::add`].
    pub async fn add_by(&self, query: &str, protocol: &ProtocolId) -> Result<ConversationId> {
        let bundles = self.resolve(query).await?;
        let protocol = protocol.clone();
        self.call(move |driver, now| driver.connect(&bundles, Some(&protocol), now))
            .await
    }

    /// Proposes who is behind a query as a further member of a conversation.
    ///
    /// # Errors
    /// As [`Client::add`], and those of the conversation for the candidate.
    pub async fn add_member(&self, conversation: ConversationId, query: &str) -> Result<()> {
        let bundles = self.resolve(query).await?;
        self.call(move |driver, now| driver.add_member(conversation, &bundles, now))
            .await
    }

    /// Begins a conversation without a peer: a group of one, or a channel. Gives
    /// the parameters by which others [`join`](Self::join) it, where they can.
    ///
    /// # Errors
    /// Those of the conversation protocol.
    pub async fn create(
        &self,
        protocol: &ProtocolId,
        parameters: impl Into<Bytes>,
    ) -> Result<(ConversationId, Bytes)> {
        let (protocol, parameters) = (protocol.clone(), parameters.into());
        self.call(move |driver, now| driver.create(&protocol, parameters, now))
            .await
    }

    /// Joins a conversation by parameters that the application has.
    ///
    /// # Errors
    /// Those of the conversation protocol.
    pub async fn join(
        &self,
        protocol: &ProtocolId,
        parameters: impl Into<Bytes>,
    ) -> Result<ConversationId> {
        let (protocol, parameters) = (protocol.clone(), parameters.into());
        self.call(move |driver, now| driver.join(&protocol, parameters, now))
            .await
    }

    /// Sends content and answers once this client has it durably. The same id
    /// again sends nothing and answers with its state.
    ///
    /// # Errors
    /// As [`Driver::send`].
    pub async fn send(
        &self,
        conversation: ConversationId,
        id: ContentId,
        content: impl Into<Bytes>,
    ) -> Result<ContentState> {
        let content = Content::Bytes(content.into());
        self.call(move |driver, now| driver.send(conversation, id, content, now))
            .await
    }

    /// Tells the author of a content that the application has shown it, where the
    /// protocol can.
    ///
    /// # Errors
    /// As [`Driver::read`].
    pub async fn read(
        &self,
        conversation: ConversationId,
        from: Option<ParticipantId>,
        content: ContentId,
    ) -> Result<()> {
        self.call(move |driver, now| driver.read(conversation, from, content, now))
            .await
    }

    /// Tells the others that the user has begun to write, or has stopped, where the
    /// protocol can. It is lost if they are not there.
    ///
    /// # Errors
    /// As [`Driver::typing`].
    pub async fn typing(&self, conversation: ConversationId, typing: bool) -> Result<()> {
        self.call(move |driver, now| driver.typing(conversation, typing, now))
            .await
    }

    /// What is told at once and never again, from now on: who writes. A listener that
    /// falls behind by more than [`MAX_SIGNALS`] loses the oldest, and is told how
    /// many.
    pub fn signals(&self) -> broadcast::Receiver<(ConversationId, Signal)> {
        self.inner.signals.resubscribe()
    }

    /// Moves a conversation to fresh points on these services.
    ///
    /// # Errors
    /// As [`Driver::move_conversation`].
    pub async fn move_to(
        &self,
        conversation: ConversationId,
        services: Vec<Locator>,
    ) -> Result<()> {
        self.call(move |driver, now| driver.move_conversation(conversation, &services, now))
            .await
    }

    /// Sets how long conversations stay at their points: [`limits::ROTATE_EVERY`] if
    /// it was never set; `None`: for ever.
    ///
    /// [`limits::ROTATE_EVERY`]: crate::limits::ROTATE_EVERY
    ///
    /// # Errors
    /// As [`Driver::rotate_points_every`].
    pub async fn rotate_points_every(&self, every: Option<Duration>) -> Result<()> {
        self.call(move |driver, now| driver.rotate_points_every(every, now))
            .await
    }

    /// The state of a content that was sent here.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn state(
        &self,
        conversation: ConversationId,
        id: ContentId,
    ) -> Result<Option<ContentState>> {
        self.call(move |driver, _| driver.state(conversation, &id))
            .await
    }

    /// Ends a conversation.
    ///
    /// # Errors
    /// As [`Driver::close`].
    pub async fn close(&self, conversation: ConversationId) -> Result<()> {
        self.call(move |driver, now| driver.close(conversation, now))
            .await
    }

    /// The conversations.
    ///
    /// # Errors
    /// `Misuse` after [`Client::shutdown`].
    pub async fn conversations(&self) -> Result<Vec<ConversationInfo>> {
        self.call(|driver, _| Ok(driver.conversations())).await
    }

    /// The invites that wait for the user, or for a component.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn requests(&self) -> Result<Vec<Request>> {
        self.call(|driver, _| driver.requests()).await
    }

    /// Accepts a request.
    ///
    /// # Errors
    /// As [`Driver::accept`].
    pub async fn accept(&self, id: InviteId) -> Result<ConversationId> {
        self.call(move |driver, now| driver.accept(id, now)).await
    }

    /// Declines a request; the sender learns nothing.
    ///
    /// # Errors
    /// As [`Driver::decline`].
    pub async fn decline(&self, id: InviteId) -> Result<()> {
        self.call(move |driver, _| driver.decline(id)).await
    }

    /// Declines a request, and tells its sender that the conversation is closed.
    ///
    /// # Errors
    /// As [`Driver::decline_and_tell`].
    pub async fn decline_and_tell(&self, id: InviteId) -> Result<()> {
        self.call(move |driver, now| driver.decline_and_tell(id, now))
            .await
    }

    /// Marks that the user has compared a participant's identity key, or takes the
    /// mark back.
    ///
    /// # Errors
    /// As [`Driver::set_verified`].
    pub async fn set_verified(&self, participant: ParticipantId, verified: bool) -> Result<()> {
        self.call(move |driver, now| driver.set_verified(&participant, verified, now))
            .await
    }

    /// How often each thing happened since the start.
    ///
    /// # Errors
    /// `Misuse` after [`Client::shutdown`].
    pub async fn counters(&self) -> Result<Counters> {
        self.call(|driver, _| Ok(driver.counters().clone())).await
    }

    /// How many payloads wait to be published, and how many are parked.
    ///
    /// # Errors
    /// `Misuse` after [`Client::shutdown`].
    pub async fn waiting(&self) -> Result<(usize, usize)> {
        self.call(|driver, _| Ok(driver.waiting())).await
    }

    /// At how many addresses a service was not yet told to listen. Until then, what is
    /// published there is lost at a service that does not retain for whoever comes
    /// later: whoever stops at once waits until this is 0.
    pub fn unheard(&self) -> usize {
        self.inner.unheard.count()
    }

    /// The events that were not confirmed, then those to come. A slow
    /// application stalls nothing: events wait in the log.
    ///
    /// # Errors
    /// Those of the store.
    pub fn events(&self) -> Result<Events> {
        Ok(self.events_after(confirmed_events(&*self.inner.store)?))
    }

    /// The events after a number, then those to come.
    pub fn events_after(&self, seq: u64) -> Events {
        let (store, told) = (self.inner.store.clone(), self.inner.told.clone());
        Events {
            store,
            told,
            last: seq,
            read: VecDeque::new(),
        }
    }

    /// The number of the last event that became durable since the client was opened;
    /// it changes with each, and ends with the client.
    pub fn logged(&self) -> watch::Receiver<u64> {
        self.inner.told.clone()
    }

    /// Confirms all events up to a number: they are not told again after a restart.
    ///
    /// # Errors
    /// As [`Driver::confirm`].
    pub async fn confirm(&self, seq: u64) -> Result<()> {
        self.call(move |driver, _| driver.confirm(seq)).await
    }

    /// Lets go of events, whole.
    ///
    /// # Errors
    /// As [`Driver::erase`].
    pub async fn erase(&self, seqs: Vec<u64>) -> Result<()> {
        self.call(move |driver, now| driver.erase(&seqs, now)).await
    }

    /// Stops the client once everything that it was asked is durable.
    pub async fn shutdown(self) {
        self.inner.jobs.lock().take();
        let task = self.inner.task.lock().take();
        if let Some(mut task) = task {
            while task.join_next().await.is_some() {}
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.inner.store.clone()
    }

    pub(crate) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Driver, Timestamp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |driver, now| {
            let result = job(driver, now);
            Box::new(move |durable| {
                let _ = answer.send(durable.and(result));
            })
        });
        let stopped = || Error::misuse("the client was shut down: open it again");
        let jobs = self.inner.jobs.lock().clone().ok_or_else(stopped)?;
        jobs.send(job).await.map_err(|_| stopped())?;
        drop(jobs);
        answered.await.map_err(|_| stopped())?
    }
}

/// Gives a discovery what it is to publish.
pub(crate) async fn advertise(
    components: &Components,
    discovery: &ProtocolId,
    advertisement: Advertisement,
) -> Result<Advertised> {
    let discovery = components.discovery(discovery)?;
    discovery.advertise(advertisement).await
}

/// A client's events, in order, as they become durable.
pub struct Events {
    store: Arc<dyn Store>,
    told: watch::Receiver<u64>,
    last: u64,
    read: VecDeque<Event>,
}

impl Events {
    /// The number of the event that was told last; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Waits for events, and gives all that are there, at most 128; none once the
    /// client has stopped and all were told. Cancel-safe.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn next_all(&mut self) -> Result<Vec<Event>> {
        let first = self.next().await?;
        let all: Vec<_> = first.into_iter().chain(self.read.drain(..)).collect();
        self.last = all.last().map_or(self.last, |event| event.seq);
        Ok(all)
    }

    /// Waits for the next event; `None` once the client has stopped and all
    /// were told.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.last = event.seq;
                return Ok(Some(event));
            }
            self.told.mark_unchanged();
            self.read
                .extend(events_after(&*self.store, self.last, 128)?);
            if self.read.is_empty() && self.told.changed().await.is_err() {
                self.read
                    .extend(events_after(&*self.store, self.last, 128)?);
                if self.read.is_empty() {
                    return Ok(None);
                }
            }
        }
    }
}
