//! The process that has the home open: what it does for itself and for others.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cf::content::{Attachment, Content};
use cf::core::{ContentId, ConversationId, Error, ErrorKind, Locator, ParticipantId, Result};
use cf::discovery::{Directory, Link};
use cf::discovery_lan::{Lan, Network};
use cf::history::Page;
use cf::identity::SafetyNumber;
use cf::{Chats, Client, ConversationInfo, EventKind, Home, LinkId, LinkOptions, Request};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::backup::Backup;
use super::call::Call;
use super::describe::{self, Names, Seen};

/// How long a reader waits for events before it is answered with none.
const WAIT: Duration = Duration::from_secs(5);
/// How long nothing must come before it is taken that nothing waits at the service.
const QUIET: Duration = Duration::from_millis(200);
/// How long receipts wait for others to travel with, and a little more.
const RECEIPTS: Duration = Duration::from_millis(100);
/// How long a command waits for a service at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much an answer holds before it is cut, in bytes: the longest event fits in
/// what a line has beside it.
const MAX_ANSWER: usize = 8 << 20;

pub(super) struct Owner {
    pub(super) home: Arc<Home>,
    pub(super) client: Client,
    pub(super) chats: Chats,
    place: String,
    service: String,
    locator: String,
    network: Arc<dyn Network>,
    /// One after the other, so that nobody is asked twice.
    adding: Mutex<()>,
    /// Whether receipts may wait for others to travel with.
    has_read: AtomicBool,
    pub(super) backup: Mutex<Option<Backup>>,
}

impl Owner {
    pub(super) fn new(
        home: Home,
        client: Client,
        chats: Chats,
        place: &str,
        service: &str,
        locator: &str,
        network: Arc<dyn Network>,
    ) -> Self {
        Self {
            home: Arc::new(home),
            client,
            chats,
            place: place.to_owned(),
            service: service.to_owned(),
            locator: locator.to_owned(),
            network,
            adding: Mutex::default(),
            has_read: AtomicBool::new(false),
            backup: Mutex::default(),
        }
    }

    /// The URL of the service that it uses.
    pub(super) fn service(&self) -> &str {
        &self.service
    }

    pub(super) async fn answer(&self, call: Call) -> Result<Vec<Value>> {
        match call {
            Call::Link {
                id,
                full,
                directory,
                lan,
                once,
                days,
                label,
                quota,
                rate,
            } => {
                let options = LinkOptions {
                    id: Some(LinkId::from_slice(&describe::unhex(&id)?)?),
                    label,
                    quota,
                    rate,
                    lifetime: Duration::from_secs(days * 24 * 60 * 60),
                    one_time: once,
                    discovery: match (full, directory, lan) {
                        (true, _, _) => Some(Link::ID),
                        (_, true, _) => Some(Directory::ID),
                        (_, _, true) => Some(Lan::ID),
                        _ => None,
                    },
                };
                let link = self.client.make_link(options).await?;
                Ok(vec![describe::link(&link)])
            }
            Call::Links => {
                let links = self.client.links().await?;
                Ok(links.iter().map(describe::link).collect())
            }
            Call::Lan => {
                let names = cf::discovery_lan::names(&*self.network).await?.into_iter();
                let named = |(name, count)| json!({ "name": name, "claims": count, "link": format!("{}{name}", Lan::PREFIX) });
                Ok(names.map(named).collect())
            }
            Call::Revoke { id } => {
                let link = LinkId::from_slice(&describe::unhex(&id)?)?;
                self.client.revoke(link).await?;
                Ok(vec![json!({ "id": id, "revoked": true })])
            }
            Call::Block {
                participant,
                blocked,
            } => {
                let who = ParticipantId::new(describe::unhex(&participant)?)?;
                match blocked {
                    true => self.client.block(who).await?,
                    false => self.client.unblock(who).await?,
                }
                Ok(vec![json!({ "from": participant, "blocked": blocked })])
            }
            Call::Blocked => {
                let blocked = self.client.blocked().await?;
                Ok(blocked.iter().map(describe::blocked).collect())
            }
            Call::Add { link } => match self.add(&self.query(&link)?).await {
                Err(error) if !error.unknown_services().is_empty() => {
                    let services = error.unknown_services().iter().map(|it| it.as_str());
                    let services: Vec<_> = services.collect();
                    let why = error.to_string();
                    Ok(vec![json!({ "unknown_services": services, "why": why })])
                }
                added => added,
            },
            Call::Requests => {
                let requests = self.client.requests().await?;
                let seen = Seen::new(&self.client.conversations().await?);
                let shown = |request: &Request| {
                    let value = describe::request(request);
                    seen.mark(value, request.from.as_ref(), &request.name)
                };
                Ok(requests.iter().map(shown).collect())
            }
            Call::Accept { id, conversation } => self.accept(&id, &conversation).await,
            Call::Decline { id, tell } => {
                let request = self.request(&id).await?;
                match tell {
                    true => self.client.decline_and_tell(request.id).await?,
                    false => self.client.decline(request.id).await?,
                }
                Ok(vec![
                    json!({ "request": request.id.to_string(), "declined": true, "told": tell }),
                ])
            }
            Call::Find { who } => Ok(vec![describe::conversation(&self.find(&who).await?)]),
            Call::Send {
                conversation,
                id,
                text,
            } => {
                let (talk, id) = (conversation_id(&conversation)?, cf::content_id(&id)?);
                let content = Content::from(&*text).encode()?;
                let state = self.client.send(talk, id.clone(), content).await?;
                Ok(vec![sent(talk, &id, state)])
            }
            Call::State { conversation, id } => {
                let (talk, id) = (conversation_id(&conversation)?, cf::content_id(&id)?);
                let state = self.client.state(talk, id.clone()).await?;
                Ok(state
                    .into_iter()
                    .map(|state| sent(talk, &id, state))
                    .collect())
            }
            Call::Read {
                after,
                confirm,
                wait,
            } => self.read(after, confirm, wait).await,
            Call::Begin {
                conversation,
                id,
                len,
            } => self.begin(&conversation, &id, len).await,
            Call::Spool {
                conversation,
                id,
                offset,
                bytes,
            } => self.spool(&conversation, &id, offset, &bytes).await,
            Call::Finish { conversation, id } => self.finish(&conversation, &id).await,
            Call::Attach {
                conversation,
                id,
                name,
                media_type,
                len,
                digest,
                content,
                caption,
            } => {
                let digest = describe::unhex(&digest)?.try_into();
                let attachment = Attachment {
                    name,
                    media_type,
                    len,
                    digest: digest.map_err(|_| Error::malformed("a digest takes 32 bytes"))?,
                    content: cf::content_id(&content)?,
                    caption,
                };
                self.attach(&conversation, &id, attachment).await
            }
            Call::File { seq } => self.file(seq).await,
            Call::Bytes { seq, offset, len } => self.bytes(seq, offset, len).await,
            Call::Chats => self.list().await,
            Call::Backup { path, passphrase } => self.backup(PathBuf::from(path), passphrase).await,
            Call::Contacts => self.contacts().await,
            Call::History {
                conversation,
                before,
                after,
                limit,
            } => {
                let page = match (before, after) {
                    (Some(seq), _) => Page::Before(seq),
                    (None, Some(seq)) => Page::After(seq),
                    (None, None) => Page::Newest,
                };
                self.page(&conversation, page, limit).await
            }
            Call::Rebuild => self.rebuild().await,
            Call::Search {
                words,
                within,
                before,
                limit,
            } => self.search(&words, within.as_deref(), before, limit).await,
            Call::Delete { conversation, seq } => self.delete(&conversation, seq).await,
            Call::Keep { days } => self.keep(days).await,
            Call::Verify { who, number } => self.verify(&who, number.as_deref()).await,
            Call::Unverify { who } => {
                let found = self.find(&who).await?;
                let participant = found.participant.clone().ok_or_else(|| {
                    Error::unsupported("this conversation has no other one who could be verified")
                })?;
                self.client.set_verified(participant, false).await?;
                let mut told = describe::conversation(&found);
                told["verified"] = json!(false);
                Ok(vec![told])
            }
            Call::Describe => {
                let file = cf::descriptor::to_json(&self.client.descriptor())?;
                let file = serde_json::from_str(&file);
                Ok(vec![file.map_err(|error| {
                    Error::from_source(ErrorKind::Other, error)
                })?])
            }
            Call::Status => self.status().await,
            Call::Config { read_receipts } => {
                if let Some(on) = read_receipts {
                    self.home.set_read_receipts(on)?;
                }
                Ok(vec![json!({ "read_receipts": self.home.read_receipts()? })])
            }
        }
    }

    /// What is meant: a name is looked up in the directory of this home's service, or
    /// of the one that follows it.
    fn query(&self, text: &str) -> Result<String> {
        let text = text.trim();
        // Also one that a later version makes, or that has lost its end.
        let is_link = text.starts_with("cf") && text.contains('_');
        if is_link || self.client.recognizes(text) {
            return Ok(text.to_owned());
        }
        let (before, start) = match text.rsplit_once('#') {
            Some((before, start)) => (before, format!("#{start}")),
            None => (text, String::new()),
        };
        let (name, locator) = before.split_once('@').unwrap_or((before, &self.locator));
        match Locator::parse(locator).and_then(|locator| Directory::query(name, &locator)) {
            Ok(query) => Ok(query + &start),
            Err(_) => Err(Error::malformed(
                "this is no link (cfshort_1_… or cfintro_1_…), no file and no name; is it whole?",
            )),
        }
    }

    /// Agrees to connect to a service from now on.
    pub(super) fn add_service(&self, locator: &Locator) -> Result<()> {
        self.home.add_service(locator)
    }

    /// Who is a contact already, or asks to be one, is not asked again.
    async fn add(&self, link: &str) -> Result<Vec<Value>> {
        let _one = self.adding.lock().await;
        let found = self.client.find(link).await?;
        let owner = found.owner.as_ref();
        let added = |talk: ConversationId, how: &str| {
            let name = &found.spec.display_name;
            Ok(vec![
                json!({ "conversation": talk.to_string(), "name": name, "added": how }),
            ])
        };
        if let Some(owner) = owner {
            let conversations = self.client.conversations().await?;
            let same = |info: &&ConversationInfo| info.participant.as_ref() == Some(owner);
            if conversations.iter().any(|info| same(&info)) {
                // A new session in the same conversation: the one before may be lost.
                return added(self.client.add(link).await?, "again");
            }
            let requests = self.client.requests().await?;
            let asks =
                |request: &&Request| request.supported && request.from.as_ref() == Some(owner);
            if let Some(request) = requests.iter().find(asks) {
                return added(self.client.accept(request.id).await?, "by accepting");
            }
        }
        added(self.client.add(link).await?, "now")
    }

    async fn accept(&self, id: &str, conversation: &str) -> Result<Vec<Value>> {
        let accepted = |talk: &ConversationInfo| Ok(vec![describe::conversation(talk)]);
        let accepted_before = |talk: &&ConversationInfo| talk.id.to_string() == conversation;
        if let Some(talk) = self
            .client
            .conversations()
            .await?
            .iter()
            .find(accepted_before)
        {
            return accepted(talk);
        }
        let request = self.request(id).await?;
        let id = self.client.accept(request.id).await?;
        let conversations = self.client.conversations().await?;
        let talk = conversations.iter().find(|talk| talk.id == id);
        accepted(talk.ok_or_else(|| Error::unavailable("the conversation is gone again"))?)
    }

    async fn request(&self, id: &str) -> Result<Request> {
        let requests = self.client.requests().await?;
        let same = |request: &Request| request.id.to_string() == id;
        let found = requests.into_iter().find(same);
        found.ok_or_else(|| Error::misuse("there is no request with this id: see `cf requests`"))
    }

    /// Confirms, then gives what is there; waits for it if that is wanted.
    async fn read(
        &self,
        after: Option<u64>,
        confirm: Option<u64>,
        wait: bool,
    ) -> Result<Vec<Value>> {
        if let Some(seq) = confirm {
            self.say_read(seq, self.home.read_receipts()?).await?;
            self.client.confirm(seq).await?;
        }
        let mut events = match after {
            Some(seq) => self.client.events_after(seq),
            None => self.client.events()?,
        };
        let patience = if wait { WAIT } else { Duration::ZERO };
        let Ok(events) = timeout(patience, events.next_all()).await else {
            return Ok(Vec::new());
        };
        let names = Names::new(&self.client.conversations().await?);
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for event in events? {
            let line = describe::event(&event, &names);
            bytes += line.to_string().len();
            lines.push(line);
            if bytes > MAX_ANSWER {
                break;
            }
        }
        Ok(lines)
    }

    /// What was printed, up to a number, is read; `tell`: its authors learn of it.
    async fn say_read(&self, seq: u64, tell: bool) -> Result<()> {
        let mut events = self.client.events()?;
        let mut saying = JoinSet::new();
        let mut shown = Vec::new();
        while events.last() < seq
            && let Ok(event) = timeout(WAIT, events.next()).await
            && let Some(event) = event?
        {
            if let EventKind::Message {
                conversation,
                from,
                id,
                ..
            } = event.kind
            {
                shown.push((conversation, event.seq));
                if tell {
                    self.has_read.store(true, Ordering::Relaxed);
                    let client = self.client.clone();
                    saying.spawn(async move { client.read(conversation, from, id).await });
                }
            }
        }
        // The last of each conversation says it for all.
        shown.sort_unstable_by_key(|(conversation, seq)| (*conversation, std::cmp::Reverse(*seq)));
        shown.dedup_by_key(|(conversation, _)| *conversation);
        self.saw(&shown).await?;
        // A conversation that is no longer there tells nobody.
        while saying.join_next().await.is_some() {}
        Ok(())
    }

    /// Tells the safety number of a contact, and marks the key that it was compared
    /// with.
    async fn verify(&self, who: &str, number: Option<&str>) -> Result<Vec<Value>> {
        let found = self.find(who).await?;
        let participant = found.participant.clone().ok_or_else(|| {
            Error::unsupported("this conversation has no other one whose key could be compared")
        })?;
        let ours = SafetyNumber::of(self.home.identity().id(), &participant);
        let mut told = describe::conversation(&found);
        if let Some(number) = number {
            let matches = SafetyNumber::parse(number)? == ours;
            if matches {
                self.client.set_verified(participant, true).await?;
                told["verified"] = json!(true);
            }
            told["matches"] = json!(matches);
        }
        told["safety_number"] = json!(ours.to_string());
        told["digits"] = json!(ours.digits());
        Ok(vec![told])
    }

    async fn status(&self) -> Result<Vec<Value>> {
        let (waiting, parked) = self.client.waiting().await?;
        Ok(vec![json!({
            "name": self.home.name(),
            "fingerprint": describe::hex(self.home.identity().id().as_bytes()),
            "home": self.place,
            "service": cf::Connectors::shown(&self.service),
            "locator": self.locator,
            "owner": std::process::id(),
            "conversations": self.client.conversations().await?.len(),
            "requests": self.client.requests().await?.len(),
            "refused": self.client.refused_invites().await?,
            "links": self.client.links().await?.len(),
            "blocked": self.client.blocked().await?.len(),
            "waiting": waiting,
            "parked": parked,
            "counters": self.client.counters().await?.counts,
        })])
    }

    /// The conversation of a name or id: exact, or the only one that it can mean.
    async fn find(&self, who: &str) -> Result<ConversationInfo> {
        let all = self.client.conversations().await?;
        let id = |info: &ConversationInfo| info.id.to_string();
        let is_start = who.len() >= 6 && who.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ways: [&dyn Fn(&ConversationInfo) -> bool; 4] = [
            &|info| id(info) == who,
            &|info| info.name == who,
            &|info| info.name.to_lowercase() == who.to_lowercase(),
            &|info| is_start && id(info).starts_with(who),
        ];
        for way in ways {
            let mut found = all.iter().filter(|info| way(info));
            match (found.next(), found.next()) {
                (Some(one), None) => return Ok(one.clone()),
                (Some(_), Some(_)) => {
                    return Err(Error::misuse(format!(
                        "more than one contact is called {who}: give the conversation's id, see `cf chats`"
                    )));
                }
                _ => {}
            }
        }
        Err(Error::misuse(format!(
            "there is no contact called {who}: see `cf chats`"
        )))
    }

    /// Waits until what the service had waiting has been taken in.
    pub(super) async fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut before = self.client.counters().await?;
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < QUIET && Instant::now() < deadline {
            sleep(QUIET / 10).await;
            let counters = self.client.counters().await?;
            if counters != before || self.client.unheard() > 0 {
                (before, quiet_since) = (counters, Instant::now());
            }
        }
        Ok(())
    }

    /// Waits a moment for what can be published to be so, and for the services to
    /// listen where others will publish.
    pub(super) async fn publish(&self, patience: Duration) {
        let published = async {
            if self.has_read.load(Ordering::Relaxed) {
                sleep(RECEIPTS).await;
            }
            let is_busy = async || {
                let waiting = self.client.waiting().await;
                waiting.is_ok_and(|(waiting, _)| waiting > 0 || self.client.unheard() > 0)
            };
            while is_busy().await {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = timeout(patience, published).await;
    }

    /// Stops once all that was asked is durable. What is not published waits in the
    /// store.
    pub(super) async fn stop(&self) {
        self.client.clone().shutdown().await;
    }
}

pub(super) fn sent(talk: ConversationId, id: &ContentId, state: cf::core::ContentState) -> Value {
    let mut value = describe::state(id, state);
    value["conversation"] = json!(talk.to_string());
    value
}

/// Reads an id as it is printed.
pub(super) fn conversation_id(text: &str) -> Result<ConversationId> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).step_by(2).map(byte).collect();
    let bytes = bytes.filter(|_| text.len() == 32);
    let bytes =
        bytes.ok_or_else(|| Error::malformed("a conversation's id takes 32 hexadecimal digits"))?;
    ConversationId::from_slice(&bytes)
}
