use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use cf_client::{EventKind, LinkOptions, Request, events_after};
use cf_core::{
    BundleSet, Content, ContentId, ContentState, ConversationId, Locator, ParticipantId, Random,
    Timestamp,
};

use crate::checks::Facts;
use crate::client::Answer;
use crate::world::World;

/// When the stock protocol sends something again at the earliest.
const FIRST_RESEND: Duration = Duration::from_secs(2);

/// Who uses a client, and what they know whether or not the client lives.
#[derive(Default)]
pub(crate) struct Application {
    /// What is known to be asked into conversations by.
    pub(crate) bundles: Option<BundleSet>,
    /// Whom to ask, and who was asked without an answer yet.
    pub(crate) wishes: VecDeque<usize>,
    asked: bool,
    /// Who is at the other end.
    pub(crate) peers: BTreeMap<ConversationId, usize>,
    /// What is to be sent, and what was given without an answer yet.
    to_send: VecDeque<(ConversationId, ContentId)>,
    given: VecDeque<(ConversationId, ContentId)>,
    /// How many contents are still to be written.
    pub(crate) to_write: usize,
    /// Up to where the log was told, read and confirmed.
    pub(crate) told: u64,
    read: u64,
    pub(crate) confirmed: u64,
}

impl Application {
    /// The client has died: whatever was not answered is asked for again.
    pub(crate) fn died(&mut self) {
        self.asked = false;
        while let Some(given) = self.given.pop_back() {
            self.to_send.push_front(given);
        }
    }

    fn is_done(&self) -> bool {
        self.wishes.is_empty()
            && self.to_write == 0
            && self.to_send.is_empty()
            && self.given.is_empty()
    }
}

impl World<'_> {
    /// Does something of what an application does.
    pub(crate) fn act(&mut self, who: usize) {
        if self.dice.chance(self.plan.strangers) {
            self.intrude();
        }
        if self.clients[who].driver.is_none() || self.dies(who, "while its user acts") {
            return;
        }
        if self.dice.chance(self.plan.cuts) {
            let cut = self.up_to(self.plan.away);
            let client = &mut self.clients[who];
            client.cut_until = self.now.after(cut);
            self.trace.note(self.now, client.name, || {
                format!("has no connection for {cut:?}")
            });
        }
        self.read(who);
        self.ask(who);
        self.accept(who);
        self.write_some(who);
        self.give(who);
        if self.dice.chance(self.plan.moves) {
            self.move_one(who);
        }
    }

    /// Makes bundles, then asks whom it wants to talk to.
    fn ask(&mut self, who: usize) {
        let application = &mut self.clients[who].application;
        if application.asked {
            return;
        }
        if application.bundles.is_none() {
            application.asked = true;
            let options = LinkOptions {
                lifetime: Duration::from_secs(20 * 24 * 60 * 60),
                ..LinkOptions::default()
            };
            let made = self.input(who, |driver, now| {
                match driver.make_bundles(&options, now) {
                    Ok((bundles, _)) => (None, Some(Answer::Bundles(bundles))),
                    Err(error) => (Some(error), None),
                }
            });
            if let Some((Some(error), _)) = made {
                self.checks.fail(format!("no bundles are made: {error}"));
            }
            return;
        }
        let Some(to) = application.wishes.front().copied() else {
            return;
        };
        let Some(bundles) = self.clients[to].application.bundles.clone() else {
            return;
        };
        let known = self.clients[who].application.peers.iter();
        let mut known = known.filter(|(_, peer)| **peer == to);
        if let Some((id, _)) = known.next() {
            // It was asked for before the client died, or the other one was faster.
            let id = *id;
            return self.answered(who, Answer::Connected(to, id));
        }
        self.clients[who].application.asked = true;
        let name = self.clients[to].name;
        self.trace
            .note(self.now, self.clients[who].name, || format!("asks {name}"));
        let asked = self.input(who, |driver, now| {
            match driver.connect(&bundles, None, now) {
                Ok(id) => (None, Some(Answer::Connected(to, id))),
                Err(error) => (Some(error), None),
            }
        });
        if let Some((Some(error), _)) = asked {
            self.checks.fail(format!("nobody can be asked: {error}"));
        }
    }

    /// Accepts a request, sooner or later.
    fn accept(&mut self, who: usize) {
        let Some(driver) = &self.clients[who].driver else {
            return;
        };
        let requests = match driver.requests() {
            Ok(requests) => requests,
            Err(error) => return self.checks.fail(format!("requests can't be read: {error}")),
        };
        let Some(Request { id, from, .. }) = requests.into_iter().next() else {
            return;
        };
        if self.dice.chance(40) {
            return;
        }
        let peer = self.peer(who, from.as_ref());
        self.trace
            .note(self.now, self.clients[who].name, || "accepts".to_owned());
        let accepted = self.input(who, |driver, now| match driver.accept(id, now) {
            Ok(conversation) => (None, Some(Answer::Accepted(conversation, peer))),
            Err(error) => (Some(error), None),
        });
        if let Some((Some(error), _)) = accepted {
            self.checks
                .fail(format!("a request can't be accepted: {error}"));
        }
    }

    /// Who somebody is; where nobody says who they are, there are only two.
    fn peer(&self, who: usize, participant: Option<&ParticipantId>) -> usize {
        let known = participant.and_then(|participant| self.checks.who(participant));
        known.unwrap_or(1 - who.min(1))
    }

    /// Writes a content or several, to be sent.
    fn write_some(&mut self, who: usize) {
        let all: Vec<_> = self.clients[who].application.peers.iter().collect();
        if all.is_empty() || self.clients[who].application.to_write == 0 {
            return;
        }
        let (conversation, to) = all[self.dice.below(all.len() as u64) as usize];
        let (conversation, to) = (*conversation, *to);
        let count = 1 + self.dice.below(3) as usize;
        let count = count.min(self.clients[who].application.to_write);
        for _ in 0..count {
            let next = self.checks.numbers.entry((who, to)).or_default();
            let number = std::mem::replace(next, *next + 1);
            let (from, at) = (self.clients[who].name, self.clients[to].name);
            let id = format!("{from} to {at} {number}");
            let mut bytes = vec![b'.'; self.dice.below(self.plan.longest) as usize];
            bytes.extend_from_slice(id.as_bytes());
            let id = ContentId::new(id).expect("a short text");
            let facts = Facts {
                conversation,
                from: who,
                to,
                number,
                bytes: bytes.into(),
                payloads: Vec::new(),
                only_until: Timestamp::default(),
                accepted_before: self.checks.accepted_of(who),
                is_told: false,
                is_read: false,
                state: None,
            };
            self.checks.contents.insert(id.clone(), facts);
            self.clients[who]
                .application
                .to_send
                .push_back((conversation, id));
        }
        self.clients[who].application.to_write -= count;
    }

    /// Gives what is to be sent to the client, and now and then what it has already.
    fn give(&mut self, who: usize) {
        while let Some((conversation, id)) = self.clients[who].application.to_send.pop_front() {
            match self.send(who, conversation, &id) {
                Ok(()) => self.clients[who]
                    .application
                    .given
                    .push_back((conversation, id)),
                Err(_) => {
                    self.clients[who]
                        .application
                        .to_send
                        .push_front((conversation, id));
                    break;
                }
            }
        }
        if self.dice.chance(10) && self.clients[who].application.given.is_empty() {
            let known = self.checks.contents.iter();
            let mut sent: Vec<_> = known
                .filter(|(_, facts)| facts.from == who && facts.state.is_some())
                .map(|(id, facts)| (facts.to, facts.number, facts.conversation, id.clone()))
                .collect();
            sent.sort();
            if let Some((_, _, conversation, id)) = sent.into_iter().next() {
                let before = self.checks.contents[&id].payloads.len();
                let again = self.send(who, conversation, &id);
                if again.is_ok() && self.checks.contents[&id].payloads.len() > before {
                    self.checks.fail("the same id was sent again");
                }
            }
        }
    }

    fn send(
        &mut self,
        who: usize,
        conversation: ConversationId,
        id: &ContentId,
    ) -> cf_core::Result<()> {
        let bytes = self.checks.contents[id].bytes.clone();
        let given = id.clone();
        let content = id.clone();
        let sent = self.input(who, move |driver, now| {
            let sent = driver.send(conversation, given.clone(), Content::Bytes(bytes), now);
            let answer = sent.is_ok().then_some(Answer::Sent(given));
            (sent, answer)
        });
        let Some((sent, published)) = sent else {
            return Err(cf_core::Error::unavailable("the client is dead"));
        };
        let facts = self
            .checks
            .contents
            .get_mut(&content)
            .expect("it was written");
        match sent {
            Ok(state) => {
                let before = facts.payloads.len();
                let payloads = published.into_iter().map(|request| request.payload);
                facts.payloads.extend(payloads);
                let is_settled = self.checks.settled.contains(&(who, conversation));
                if self.plan.moves == 0 && is_settled && facts.payloads.len() > before {
                    facts.only_until = self.now.after(FIRST_RESEND);
                }
                if state != ContentState::Queued && facts.state.is_none() {
                    let what = format!("{:?} is {state:?} when it is given", content);
                    // It may have been durable before the client died.
                    if !self.clients[who].disk.holds(content.as_bytes()) {
                        self.checks.fail(what);
                    }
                }
                self.trace.note(self.now, self.clients[who].name, || {
                    format!("sends {}", crate::trace::text(&content))
                });
                Ok(())
            }
            Err(error) if error.is_retryable() => Err(error),
            Err(error) => {
                self.checks
                    .fail(format!("{content:?} is not taken: {error}"));
                Err(error)
            }
        }
    }

    /// Reads on in the log, shows what came, and confirms.
    fn read(&mut self, who: usize) {
        let client = &self.clients[who];
        let (read, told) = (client.application.read, client.application.told);
        if read >= told {
            return;
        }
        let events = match events_after(&*client.disk, read, (told - read) as usize) {
            Ok(events) => events,
            Err(error) => return self.checks.fail(format!("the log can't be read: {error}")),
        };
        for event in events {
            match event.kind {
                EventKind::Started {
                    conversation, from, ..
                } => {
                    let peer = self.peer(who, from.as_ref());
                    self.clients[who]
                        .application
                        .peers
                        .insert(conversation, peer);
                }
                EventKind::Message {
                    conversation,
                    from,
                    id,
                    ..
                } if self.dice.chance(self.plan.reads) => {
                    if let Some(facts) = self.checks.contents.get_mut(&id) {
                        facts.is_read = true;
                    }
                    self.input(who, |driver, now| {
                        (driver.read(conversation, from, id, now).is_ok(), None)
                    });
                }
                _ => {}
            }
        }
        self.clients[who].application.read = told;
        if self.dice.chance(50) {
            self.clients[who].application.confirmed = told;
            let confirmed = self.input(who, |driver, _| (driver.confirm(told).is_ok(), None));
            if confirmed.is_some_and(|(is_ok, _)| !is_ok) {
                self.checks.fail("what was told can't be confirmed");
            }
        }
    }

    /// Moves a conversation to other points.
    fn move_one(&mut self, who: usize) {
        let client = &self.clients[who];
        let services = client.components.services.iter();
        let services: Vec<Locator> = services.map(|service| service.locator().clone()).collect();
        let all: Vec<_> = client.application.peers.keys().copied().collect();
        if all.is_empty() {
            return;
        }
        let chosen = all[self.dice.below(all.len() as u64) as usize];
        // A protocol may not be able to, or not yet.
        self.input(who, |driver, now| {
            (
                driver.move_conversation(chosen, &services, now).is_ok(),
                None,
            )
        });
    }

    /// A stranger publishes something that was changed, or nothing but noise.
    fn intrude(&mut self) {
        let places: Vec<_> = self.network.logs.keys().cloned().collect();
        if places.is_empty() {
            return;
        }
        let place = places[self.dice.below(places.len() as u64) as usize].clone();
        let Some(log) = self.network.logs.get_mut(&place) else {
            return;
        };
        let mut forged = vec![0; 1 + self.dice.below(300) as usize];
        self.dice.fill(&mut forged);
        if self.dice.chance(60) && !log.is_empty() {
            forged = log[self.dice.below(log.len() as u64) as usize].to_vec();
            let bit = self.dice.below(forged.len() as u64 * 8) as usize;
            forged[bit / 8] ^= 1 << (bit % 8);
        }
        log.push(Bytes::from(forged));
        self.spread(place);
    }

    /// An input's answer comes: it is durable.
    pub(crate) fn answered(&mut self, who: usize, answer: Answer) {
        let application = &mut self.clients[who].application;
        match answer {
            Answer::Bundles(bundles) => {
                application.asked = false;
                application.bundles = Some(bundles);
            }
            Answer::Connected(to, id) => {
                application.asked = false;
                application.wishes.retain(|wish| *wish != to);
                application.peers.insert(id, to);
            }
            Answer::Accepted(conversation, peer) => {
                application.peers.insert(conversation, peer);
            }
            Answer::Sent(id) => application.given.retain(|(_, given)| *given != id),
        }
    }

    /// Whether everything has come to where it should: says what is still missing.
    pub(crate) fn missing(&self) -> Option<String> {
        for client in &self.clients {
            let Some(driver) = &client.driver else {
                return Some(format!("{} is dead", client.name));
            };
            if !client.application.is_done() {
                return Some(format!("{} has still something to do", client.name));
            }
            if driver.requests().is_ok_and(|requests| !requests.is_empty()) {
                return Some(format!("{} has a request", client.name));
            }
        }
        self.checks.missing()
    }
}
