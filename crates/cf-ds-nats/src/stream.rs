use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::StatusCode;
use bytes::Bytes;
use data_encoding::BASE64;
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::api::{
    self, Failure, Get, GetAnswer, KeptMessage, Republish, StreamAnswer, StreamConfig, StreamInfo,
};
use crate::connection::Connection;
use crate::cursor::Incarnation;
use crate::place::{PREFIXES, Place, Spot};
use crate::publish::Sends;
use crate::{Error, NatsOptions};

/// A stream of the service.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) incarnation: Incarnation,
    replicas: u8,
    max_age: Duration,
    duplicate_window: Duration,
    max_msg_size: Option<usize>,
    /// The highest sequence number that is known to be in it.
    seen: AtomicU64,
}

impl Stream {
    /// Whether several servers keep it.
    pub(crate) fn is_replicated(&self) -> bool {
        self.replicas > 1
    }

    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    pub(crate) fn see(&self, sequence: u64) {
        self.seen.fetch_max(sequence, Ordering::Relaxed);
    }
}

/// The streams of a service, by the prefix of the addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    by_prefix: [Option<Arc<Stream>>; PREFIXES],
}

impl Streams {
    pub(crate) fn of(&self, prefix: usize) -> Option<&Arc<Stream>> {
        self.by_prefix.get(prefix)?.as_ref()
    }

    pub(crate) fn incarnation(&self, incarnation: Incarnation) -> Option<&Arc<Stream>> {
        let mut streams = self.by_prefix.iter().flatten();
        streams.find(|stream| stream.incarnation == incarnation)
    }

    /// Each stream once.
    pub(crate) fn all(&self) -> Vec<Arc<Stream>> {
        let mut all: Vec<Arc<Stream>> = Vec::new();
        for stream in self.by_prefix.iter().flatten() {
            if !all.iter().any(|known| Arc::ptr_eq(known, stream)) {
                all.push(stream.clone());
            }
        }
        all
    }

    pub(crate) fn retention(&self) -> Option<Duration> {
        self.all().iter().map(|stream| stream.max_age).min()
    }

    pub(crate) fn duplicate_window(&self) -> Option<Duration> {
        let windows = self.all();
        let window = windows.iter().map(|stream| stream.duplicate_window).min();
        window.filter(|window| !window.is_zero())
    }

    pub(crate) fn max_msg_size(&self) -> Option<usize> {
        let streams = self.all();
        streams
            .iter()
            .filter_map(|stream| stream.max_msg_size)
            .min()
    }
}

/// Finds the streams of a service, makes them where they are not, and reads them.
pub(crate) struct Directory {
    pub(crate) connection: Connection,
    pub(crate) place: Place,
    pub(crate) sends: Sends,
    lost: Notify,
    pub(crate) options: NatsOptions,
    streams: RwLock<Arc<Streams>>,
    refreshed: tokio::sync::Mutex<Option<Instant>>,
}

/// How old the list of streams may be that is not asked for again.
const FRESH: Duration = Duration::from_millis(250);
/// What a stream without a retention in time is said to have.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl Directory {
    pub(crate) fn new(connection: Connection, place: Place, options: NatsOptions) -> Self {
        Self {
            connection,
            place,
            sends: Sends::default(),
            lost: Notify::new(),
            options,
            streams: RwLock::default(),
            refreshed: tokio::sync::Mutex::new(None),
        }
    }

    pub(crate) fn streams(&self) -> Arc<Streams> {
        self.streams.read().clone()
    }

    /// The stream of a prefix, which is looked for if it is not known.
    pub(crate) async fn stream(&self, prefix: usize) -> Result<Arc<Stream>, Error> {
        if let Some(stream) = self.streams().of(prefix) {
            return Ok(stream.clone());
        }
        let streams = self.refresh().await?;
        streams.of(prefix).cloned().ok_or(Error::NoStream)
    }

    /// Asks which streams there are, and makes those that are missing.
    pub(crate) async fn refresh(&self) -> Result<Arc<Streams>, Error> {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(self.streams());
        }
        let mut streams = self.list().await?;
        if streams.by_prefix.iter().any(Option::is_none) && self.options.create {
            self.make(&streams).await?;
            streams = self.list().await?;
        }
        if streams.by_prefix.iter().any(Option::is_none) {
            return Err(Error::NoStream);
        }
        let streams = Arc::new(streams);
        *self.streams.write() = streams.clone();
        *refreshed = Some(Instant::now());
        Ok(streams)
    }

    /// Has streams made again that may be lost. Nobody waits for it: in a cluster that
    /// has no leader it takes long, and what is published later would get ahead.
    pub(crate) fn look_for_lost(&self) {
        self.lost.notify_one();
    }

    /// Looks for lost streams whenever that is asked for.
    pub(crate) async fn keep(self: Arc<Self>) {
        loop {
            self.lost.notified().await;
            if let Err(error) = self.refresh().await {
                tracing::debug!(%error, "the streams can't be listed");
            }
            sleep(FRESH).await;
        }
    }

    async fn list(&self) -> Result<Streams, Error> {
        let mut infos: Vec<StreamInfo> = Vec::new();
        loop {
            let query = format!(
                r#"{{"subject":"{}","offset":{}}}"#,
                self.place.all(),
                infos.len()
            );
            let list: api::StreamList = self.api("STREAM.LIST", query.into()).await?;
            check(list.error)?;
            let page = list.streams.unwrap_or_default();
            let is_last = page.is_empty() || infos.len() + page.len() >= list.total;
            infos.extend(page);
            if is_last {
                break;
            }
        }
        // Where two made the streams at once in a cluster, all take the older.
        infos.sort_by(|one, other| {
            (&one.created, &one.config.name).cmp(&(&other.created, &other.config.name))
        });
        let before = self.streams();
        let mut streams = Streams::default();
        for info in infos {
            let config = &info.config;
            let republish = config.republish.as_ref();
            let is_ours = republish == Some(&self.republish()) && config.allow_direct;
            if !is_ours {
                return Err(Error::ForeignStream(config.name.clone()));
            }
            let incarnation = Incarnation::of_stream(&config.name);
            let stream = match before.incarnation(incarnation) {
                Some(known) => known.clone(),
                None => Arc::new(Stream::new(config, incarnation)),
            };
            stream.see(info.state.last_seq);
            let prefixes = config.subjects.iter();
            for prefix in prefixes.filter_map(|subject| self.place.prefix(subject)) {
                streams.by_prefix[prefix].get_or_insert_with(|| stream.clone());
            }
        }
        Ok(streams)
    }

    async fn make(&self, there: &Streams) -> Result<(), Error> {
        let known = there.all();
        let mut known = known
            .iter()
            .filter_map(|stream| self.place.shards(&stream.name));
        let shards = known.next().unwrap_or(self.options.shards.into());
        let each = PREFIXES / shards;
        for shard in 0..shards {
            let prefixes = shard * each..(shard + 1) * each;
            let missing: Vec<_> = prefixes
                .filter(|prefix| there.of(*prefix).is_none())
                .map(|prefix| self.place.subjects(prefix))
                .collect();
            if missing.is_empty() {
                continue;
            }
            let mut random = [0; 4];
            getrandom::fill(&mut random).map_err(|_| Error::NoRandom)?;
            let name = self.place.stream_name(shard, shards, random);
            tracing::info!(stream = %name, "making a stream");
            let config = self.config(name.clone(), missing, shards);
            let config = serde_json::to_vec(&config).map_err(|_| Error::NoAnswer)?;
            let method = format!("STREAM.CREATE.{name}");
            let made: StreamAnswer = self.api(&method, config.into()).await?;
            match made.error {
                // Another client was quicker.
                Some(error) if is_quicker(error.err_code) => {}
                error => check(error)?,
            }
        }
        Ok(())
    }

    fn config(&self, name: String, subjects: Vec<String>, shards: usize) -> StreamConfig {
        let options = &self.options;
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bytes = options.max_bytes / shards as u64;
        StreamConfig {
            name,
            description: "/cf/ds/nats/1".to_owned(),
            subjects,
            retention: "limits".to_owned(),
            max_consumers: -1,
            max_msgs: -1,
            max_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            max_age: nanos(options.retention),
            max_msgs_per_subject: options.max_payloads_per_address.into(),
            max_msg_size: -1,
            discard: "old".to_owned(),
            storage: "file".to_owned(),
            num_replicas: options.replicas,
            duplicate_window: nanos(options.duplicate_suppression.min(options.retention)),
            allow_direct: true,
            republish: Some(self.republish()),
        }
    }

    fn republish(&self) -> Republish {
        Republish {
            src: self.place.all(),
            dest: self.place.all_kept(),
            headers_only: false,
        }
    }

    /// The last sequence number of a stream, as its leader knows it.
    pub(crate) async fn last(&self, stream: &Stream) -> Result<u64, Error> {
        let method = format!("STREAM.INFO.{}", stream.name);
        let answer: StreamAnswer = self.api(&method, Bytes::new()).await?;
        check(answer.error)?;
        let last = answer.info.ok_or(Error::NoAnswer)?.state.last_seq;
        stream.see(last);
        Ok(last)
    }

    /// The first message of an address whose number is at least `from`; the stream had
    /// one with the number `known`.
    pub(crate) async fn next_of(
        &self,
        stream: &Stream,
        spot: &Spot,
        from: u64,
        known: u64,
    ) -> Result<Option<(u64, Bytes)>, Error> {
        let query = Get {
            seq: Some(from),
            next_by_subj: Some(&spot.publish),
            last_by_subj: None,
        };
        let found = self.get(stream, &query).await?;
        if found.is_some() || known < from || !stream.is_replicated() {
            return Ok(found);
        }
        // A leader that was just elected may not have got so far yet.
        match self.last(stream).await? < known {
            true => Err(Error::NoAnswer),
            false => self.get_at_leader(stream, &query).await,
        }
    }

    /// The number of the last message of an address.
    pub(crate) async fn last_of(&self, stream: &Stream, spot: &Spot) -> Result<Option<u64>, Error> {
        let query = Get {
            seq: None,
            next_by_subj: None,
            last_by_subj: Some(&spot.publish),
        };
        // Of several servers only the leader knows which one is the last.
        let last = match stream.replicas {
            0 | 1 => self.get(stream, &query).await?,
            _ => self.get_at_leader(stream, &query).await?,
        };
        Ok(last.map(|(sequence, _)| sequence))
    }

    async fn get(&self, stream: &Stream, query: &Get<'_>) -> Result<Option<(u64, Bytes)>, Error> {
        let subject = format!("$JS.API.DIRECT.GET.{}", stream.name);
        let payload = serde_json::to_vec(query).map_err(|_| Error::NoAnswer)?;
        let message = self.connection.ask(subject, None, payload.into()).await?;
        if message.status == Some(StatusCode::NOT_FOUND) {
            // A server that lags behind does not know: the stream's leader does.
            return match stream.replicas {
                0 | 1 => Ok(None),
                _ => self.get_at_leader(stream, query).await,
            };
        }
        let headers = message.headers.as_ref();
        let sequence = headers.and_then(|headers| headers.get("Nats-Sequence"));
        let sequence = sequence.and_then(|sequence| sequence.as_str().parse().ok());
        let sequence = sequence.ok_or(Error::NoAnswer)?;
        stream.see(sequence);
        Ok(Some((sequence, message.payload)))
    }

    /// Whether the message with a number has a header with this value.
    pub(crate) async fn has_header(
        &self,
        stream: &Stream,
        sequence: u64,
        name: &str,
        value: &str,
    ) -> Result<bool, Error> {
        let query = Get {
            seq: Some(sequence),
            next_by_subj: None,
            last_by_subj: None,
        };
        let Some(message) = self.message_at_leader(stream, &query).await? else {
            return Ok(false);
        };
        let headers = BASE64.decode(message.hdrs.as_bytes());
        let headers = headers.map_err(|_| Error::NoAnswer)?;
        let headers = String::from_utf8_lossy(&headers);
        let mut lines = headers.lines().filter_map(|line| line.split_once(':'));
        Ok(lines.any(|(key, found)| key == name && found.trim() == value))
    }

    async fn get_at_leader(
        &self,
        stream: &Stream,
        query: &Get<'_>,
    ) -> Result<Option<(u64, Bytes)>, Error> {
        let Some(message) = self.message_at_leader(stream, query).await? else {
            return Ok(None);
        };
        let data = BASE64.decode(message.data.as_bytes());
        let data = data.map_err(|_| Error::NoAnswer)?;
        stream.see(message.seq);
        Ok(Some((message.seq, data.into())))
    }

    async fn message_at_leader(
        &self,
        stream: &Stream,
        query: &Get<'_>,
    ) -> Result<Option<KeptMessage>, Error> {
        let method = format!("STREAM.MSG.GET.{}", stream.name);
        let payload = serde_json::to_vec(query).map_err(|_| Error::NoAnswer)?;
        let answer: GetAnswer = self.api(&method, payload.into()).await?;
        match (answer.message, answer.error) {
            (Some(message), None) => Ok(Some(message)),
            (_, Some(error)) if error.err_code == api::code::NO_MESSAGE => Ok(None),
            (_, error) => {
                check(error)?;
                Err(Error::NoAnswer)
            }
        }
    }

    pub(crate) async fn api<T: DeserializeOwned>(
        &self,
        method: &str,
        payload: Bytes,
    ) -> Result<T, Error> {
        let subject = format!("$JS.API.{method}");
        let message = self.connection.ask(subject, None, payload).await;
        let message = message.map_err(|error| match error {
            Error::NoStream => Error::NoJetStream,
            other => other,
        })?;
        serde_json::from_slice(&message.payload).map_err(|_| Error::NoAnswer)
    }
}

impl Stream {
    fn new(config: &StreamConfig, incarnation: Incarnation) -> Self {
        let max_age = match config.max_age {
            0 => FOR_EVER,
            nanos => Duration::from_nanos(nanos),
        };
        Self {
            name: config.name.clone(),
            incarnation,
            replicas: config.num_replicas,
            max_age,
            duplicate_window: Duration::from_nanos(config.duplicate_window),
            max_msg_size: usize::try_from(config.max_msg_size)
                .ok()
                .filter(|max| *max > 0),
            seen: AtomicU64::new(0),
        }
    }
}

/// What an error of JetStream means.
pub(crate) fn check(error: Option<Failure>) -> Result<(), Error> {
    let Some(error) = error else { return Ok(()) };
    Err(match error.err_code {
        api::code::STREAM_NOT_FOUND => Error::NoStream,
        api::code::NOT_ENABLED | api::code::NOT_ENABLED_FOR_ACCOUNT => Error::NoJetStream,
        code => Error::JetStream {
            code,
            description: error.description,
        },
    })
}

fn is_quicker(code: u64) -> bool {
    [api::code::STREAM_NAME_IN_USE, api::code::SUBJECTS_OVERLAP].contains(&code)
}
