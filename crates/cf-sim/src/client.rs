use std::collections::BTreeMap;
use std::sync::Arc;

use cf_client::{Components, Driver, Pipeline, Profile};
use cf_core::{Batch, BundleSet, ContentId, ConversationId, Cursor, Start, Timestamp};

use crate::application::Application;
use crate::disk::Disk;
use crate::life::Member;
use crate::network::Place;

/// A client, from its application down to its disk.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    pub(crate) components: Arc<Components>,
    /// What it is to be made of later.
    pub(crate) upgraded: Option<Components>,
    pub(crate) profile: Profile,
    pub(crate) disk: Arc<Disk>,
    /// `None` while it is dead.
    pub(crate) driver: Option<Driver>,
    pub(crate) pipeline: Pipeline<Answer>,
    /// What is on its way to the disk.
    pub(crate) batch: Option<Batch>,
    /// Its lives; what is on its way to an earlier one is void.
    pub(crate) life: u64,
    /// Where it listens, and when the last payload arrives there that keeps its place.
    pub(crate) subscriptions: BTreeMap<Place, Timestamp>,
    /// It has no connection before.
    pub(crate) cut_until: Timestamp,
    pub(crate) application: Application,
    /// Where it durably stopped at each place.
    pub(crate) stopped: BTreeMap<Place, Cursor>,
}

/// What an input tells who gave it, once it is durable.
#[derive(Debug)]
pub(crate) enum Answer {
    Bundles(BundleSet),
    Connected(usize, ConversationId),
    Accepted(ConversationId, usize),
    Sent(ContentId),
}

/// The names of the clients, in order.
pub(crate) const NAMES: [&str; 4] = ["Saro", "Raya", "Pax", "Nils"];

impl Client {
    pub(crate) fn new(number: usize, member: Member) -> Self {
        let name = NAMES[number];
        Self {
            name,
            components: Arc::new(member.components),
            upgraded: member.upgraded,
            profile: Profile {
                identity: member.identity,
                display_name: name.to_owned(),
            },
            disk: Arc::default(),
            driver: None,
            pipeline: Pipeline::default(),
            batch: None,
            life: 0,
            subscriptions: BTreeMap::new(),
            cut_until: Timestamp::default(),
            application: Application::default(),
            stopped: BTreeMap::new(),
        }
    }

    /// Where it has to go on at a place.
    pub(crate) fn goes_on(&self, place: &Place) -> Start {
        let stopped = self.stopped.get(place);
        stopped.map_or(Start::Earliest, |cursor| Start::After(cursor.clone()))
    }
}
