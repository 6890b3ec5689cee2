//! Making a driver from what the store has.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use cf_core::{Env, Error, InviteId, ProtocolId, Random, Result, Scan, Store, Timestamp};

use super::outbox::{self, Outbox};
use super::parked::Parked;
use super::roll;
use super::sessions::{CROSSING, Sender};
use super::sleep::MAX_AWAKE;
use super::trust::Trust;
use super::unsent::Backlog;
use super::{Driver, Reception, Wake};
use crate::components::{Components, Counters, Profile};
use crate::fault::fault;
use crate::overlay::{InstanceRecords, Overlay};
use crate::records::{self, EVENTS, META, OUTBOX, REQUESTS, VERSION, wire};

impl Driver {
    /// Makes the client that the store holds, or a new one.
    ///
    /// Its first commit subscribes to every address in force from the cursor
    /// that was committed last, and publishes what the outbox has.
    ///
    /// # Errors
    /// `Unsupported` for a store of a newer version, `Other` for a damaged one.
    pub fn restore(
        components: Arc<Components>,
        profile: Profile,
        store: Arc<dyn Store>,
        random: Box<dyn Random>,
        now: Timestamp,
    ) -> Result<Self> {
        let routers = components
            .framings
            .iter()
            .map(|f| (f.id().clone(), f.router()))
            .collect();
        let mut driver = Self {
            components,
            profile,
            random,
            overlay: Overlay::new(store),
            effects: Vec::new(),
            counters: Counters::default(),
            routers,
            points: BTreeMap::new(),
            inboxes: Vec::new(),
            conversations: HashMap::new(),
            used: BTreeSet::new(),
            max_awake: MAX_AWAKE,
            unread: None,
            strayed: Vec::new(),
            left: Vec::new(),
            by_id: HashMap::new(),
            pairs: roll::Pairs::default(),
            named: HashMap::new(),
            held: BTreeMap::new(),
            renewed_at: HashMap::new(),
            contact: None,
            unsent: Backlog::default(),
            trust: Trust::default(),
            outbox: Outbox::default(),
            parked: Parked::default(),
            spools: Default::default(),
            wakes: BTreeSet::new(),
            work: VecDeque::new(),
            try_all_parked: false,
            waiting: Default::default(),
            links: Default::default(),
            blocked: Default::default(),
            returned: Default::default(),
            next_instance: 1,
            next_event: 1,
        };
        driver.read_back(now).map_err(records::stored)?;
        driver.settle(now);
        Ok(driver)
    }

    fn read_back(&mut self, now: Timestamp) -> Result<()> {
        self.check_version()?;
        self.restore_numbers()?;
        self.restore_parked()?;
        self.restore_spools(now)?;
        self.restore_inboxes(now)?;
        self.restore_blocked()?;
        self.restore_contact()?;
        self.restore_verified()?;
        self.restore_requests()?;
        self.restore_links(now)?;
        self.restore_conversations(now)?;
        self.restore_returned(now)?;
        self.restore_unsent(now)?;
        self.restore_outbox()?;
        self.restore_invites()?;
        // What this publishes comes behind what the outbox has.
        self.restore_places(now);
        self.expire(now);
        self.replay_requests(now)
    }

    fn check_version(&mut self) -> Result<()> {
        match self.overlay.get(META, b"version")? {
            None => self
                .overlay
                .put(META, "version", records::number_key(VERSION)),
            Some(version) if records::read_number(&version)? > VERSION => {
                return Err(Error::unsupported(
                    "the store was written by a newer version: use that version, or a new store",
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn restore_numbers(&mut self) -> Result<()> {
        if let Some(next) = self.overlay.get(META, b"next_instance")? {
            self.next_instance = records::read_number(&next)?;
        }
        let last = Scan {
            reverse: true,
            limit: 1,
            ..Scan::prefix("")
        };
        if let Some((seq, _)) = self.overlay.scan(EVENTS, &last)?.first() {
            self.next_event =
                records::read_number(seq)? + u64::from(!fault!("drop-an-event-on-restore"));
        }
        Ok(())
    }

    fn restore_inboxes(&mut self, now: Timestamp) -> Result<()> {
        for (index, component) in self.components.clone().initializations.iter().enumerate() {
            let id = component.id().clone();
            let namespace = records::inbox_namespace(&id);
            let view = InstanceRecords {
                overlay: &self.overlay,
                namespace: &namespace,
            };
            let mut env = Env {
                now,
                random: &mut *self.random,
                records: &view,
            };
            let inbox = component.inbox(self.profile.identity.clone(), &mut env)?;
            self.inboxes.push(Reception {
                id,
                inbox,
                wake: None,
            });
            self.drain_inbox(index, now);
        }
        Ok(())
    }

    fn restore_outbox(&mut self) -> Result<()> {
        for (key, value) in self.overlay.scan(OUTBOX, &Scan::prefix(""))? {
            self.outbox
                .insert(records::read_number(&key)?, outbox::read(&value)?);
        }
        for key in self.outbox.keys() {
            self.publish_again(key);
        }
        Ok(())
    }

    /// Takes note of the requests that wait, before anything may end where they came.
    fn restore_requests(&mut self) -> Result<()> {
        for (_, value) in self.overlay.scan(REQUESTS, &Scan::prefix(""))? {
            self.note_waiting(&records::read(&value)?, None)?;
        }
        Ok(())
    }

    /// Tells of kept requests whose component has come since.
    fn replay_requests(&mut self, now: Timestamp) -> Result<()> {
        let mut known = Vec::new();
        for (_, value) in self.overlay.scan(REQUESTS, &Scan::prefix(""))? {
            let mut request: wire::Request = records::read(&value)?;
            let id = InviteId::from_slice(&request.id)?;
            if request.held_since > 0 {
                self.know_all(now);
                if let Sender::Peer(conversation) = self.sender_of(&request.invitation()?) {
                    self.held.insert(id, conversation);
                }
                let until = Timestamp(request.held_since).after(CROSSING);
                self.wakes.insert((until, Wake::Held(id)));
                continue;
            }
            let protocol = ProtocolId::parse(&request.protocol)?;
            let supported = self.components.conversation(&protocol).is_some();
            if supported != request.supported {
                request.supported = supported;
                self.put_request(&request, now);
                known.extend(request.invitation()?.from);
            }
        }
        if !known.is_empty() {
            self.know_all(now);
        }
        for from in known {
            self.renew_by_requests_of(&from, now);
        }
        Ok(())
    }
}
