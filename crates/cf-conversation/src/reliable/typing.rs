//! That somebody writes: said now or never.

use std::time::Duration;

use cf_core::{Env, Output, ParticipantId, PublishId, Signal, TYPING_FOR, Timestamp};

use super::conversation::ReliableConversation;
use super::frame::{Body, MAX_UNACKNOWLEDGED};

/// The shortest time between two frames that say that somebody writes.
pub(crate) const TYPING_EVERY: Duration = Duration::from_secs(3);

/// How old such a frame is at most, by its author's clock: it may have waited for
/// its receiver.
const STALE_AFTER: Duration = Duration::from_secs(300);

/// What is said of who writes.
pub(crate) struct Typing {
    /// Whether the peer may believe that this side writes.
    said: bool,
    /// When it may be said again.
    again_at: Timestamp,
    /// What was published last, until its outcome is known, and when nobody needs
    /// it any more.
    published: Option<(PublishId, Timestamp)>,
    /// Until when the peer writes, and who that is.
    peer: Option<(Timestamp, Option<ParticipantId>)>,
}

impl Typing {
    pub(crate) fn new() -> Self {
        Self {
            said: false,
            again_at: Timestamp::default(),
            published: None,
            peer: None,
        }
    }

    /// When something is to be done about it.
    pub(crate) fn due(&self) -> Timestamp {
        let published = self.published.map_or(Timestamp::NEVER, |(_, until)| until);
        let peer = self.peer.as_ref();
        peer.map_or(published, |(until, _)| published.min(*until))
    }

    /// The outcome of a publish is known.
    pub(crate) fn published(&mut self, publish: PublishId) {
        if self.published.is_some_and(|(last, _)| last == publish) {
            self.published = None;
        }
    }
}

impl ReliableConversation {
    /// Says that the user writes, or has stopped; as often as is good, and not
    /// while half of what may be on its way is.
    pub(super) fn type_on(&mut self, typing: bool, env: &mut Env<'_>) {
        let is_due = match typing {
            true => self.typing.again_at <= env.now,
            false => self.typing.said,
        };
        let is_crowded = self.flights.iter().count() > MAX_UNACKNOWLEDGED / 2;
        if !is_due || is_crowded || self.ended || self.superseded.is_some() {
            return;
        }
        if let Some((waiting, _)) = self.typing.published.take() {
            self.outputs.push_back(Output::Withdraw(waiting));
        }
        self.typing.said = typing;
        if let Ok(Some(publish)) = self.say(Body::Typing(typing), env) {
            let until = env.now.after(TYPING_FOR);
            self.typing.published = Some((publish, until));
        }
        self.typing.again_at = match typing {
            true => env.now.after(TYPING_EVERY),
            false => env.now,
        };
    }

    /// The peer said that it writes, or has stopped.
    pub(super) fn peer_types(
        &mut self,
        typing: bool,
        from: Option<ParticipantId>,
        sent_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        if sent_at.is_some_and(|at| now.since(at) > STALE_AFTER) {
            return;
        }
        let until = now.after(TYPING_FOR);
        self.typing.peer = typing.then_some((until, from.clone()));
        self.signal_typing(from, typing);
    }

    /// Ends what is over: the peer's writing, and what nobody has taken.
    pub(super) fn expire_typing(&mut self, now: Timestamp) {
        if let Some((publish, _)) = self.typing.published.take_if(|(_, until)| *until <= now) {
            self.outputs.push_back(Output::Withdraw(publish));
        }
        if let Some((_, from)) = self.typing.peer.take_if(|(until, _)| *until <= now) {
            self.signal_typing(from, false);
        }
    }

    fn signal_typing(&mut self, from: Option<ParticipantId>, typing: bool) {
        let signal = Signal::Typing { from, typing };
        self.outputs.push_back(Output::Signal(signal));
    }
}
