use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use cf_core::{Cursor, Delivery, DeliveryAddress};
use rumqttc::Publish;

use crate::Error;

/// What a subscription has of its session at the broker.
pub(crate) struct Session {
    addresses: HashMap<String, DeliveryAddress>,
    /// What came and was not given yet, by its number.
    waiting: BTreeMap<u64, Publish>,
    /// What was given and not acknowledged, by its number.
    given: BTreeMap<u64, (DeliveryAddress, Publish)>,
    /// What came for addresses that were not added yet: a session outlives them.
    strange: VecDeque<Publish>,
    /// What is to be acknowledged.
    due: Vec<Publish>,
    /// Topics to be subscribed to again, since the broker lost the session.
    pub(crate) lost_topics: Vec<String>,
    number: u64,
    most: usize,
    max_addresses: usize,
    is_lost: bool,
}

impl Session {
    pub(crate) fn new(receive_maximum: u16, max_addresses: usize) -> Self {
        Self {
            addresses: HashMap::new(),
            waiting: BTreeMap::new(),
            given: BTreeMap::new(),
            strange: VecDeque::new(),
            due: Vec::new(),
            lost_topics: Vec::new(),
            number: 0,
            most: usize::from(receive_maximum / 2).max(1),
            max_addresses,
            is_lost: false,
        }
    }

    pub(crate) fn connect(&mut self, session_present: bool) {
        self.is_lost = false;
        // Packets of the connection before can't be acknowledged any more; the broker
        // sends them again, if it has the session.
        self.given.clear();
        self.due.clear();
        if session_present {
            self.waiting.clear();
            self.strange.clear();
        } else {
            self.lost_topics = self.addresses.keys().cloned().collect();
        }
    }

    pub(crate) fn lose(&mut self) {
        self.is_lost = true;
    }

    pub(crate) fn came(&mut self, publish: Publish) {
        let topic = std::str::from_utf8(&publish.topic).unwrap_or_default();
        if self.addresses.contains_key(topic) {
            self.number += 1;
            self.waiting.insert(self.number, publish);
            return;
        }
        self.strange.push_back(publish);
        if self.strange.len() > self.most {
            self.due.extend(self.strange.pop_front());
        }
    }

    pub(crate) fn add(&mut self, topic: &str, address: &DeliveryAddress) -> Result<(), Error> {
        let max = self.max_addresses;
        if self.addresses.len() >= max && !self.addresses.contains_key(topic) {
            return Err(Error::TooManyAddresses { max });
        }
        self.addresses.insert(topic.to_owned(), address.clone());
        for publish in std::mem::take(&mut self.strange) {
            match publish.topic == topic.as_bytes() {
                true => {
                    self.number += 1;
                    self.waiting.insert(self.number, publish);
                }
                false => self.strange.push_back(publish),
            }
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, topic: &str) {
        self.addresses.remove(topic);
        let waiting = std::mem::take(&mut self.waiting);
        for (number, publish) in waiting {
            match publish.topic == topic.as_bytes() {
                true => self.due.push(publish),
                false => drop(self.waiting.insert(number, publish)),
            }
        }
    }

    pub(crate) fn take(&mut self) -> Option<Result<Delivery, Error>> {
        while let Some((number, publish)) = self.waiting.pop_first() {
            let topic = std::str::from_utf8(&publish.topic).unwrap_or_default();
            let Some(address) = self.addresses.get(topic).cloned() else {
                self.due.push(publish);
                continue;
            };
            let payload = publish.payload.clone();
            self.given.insert(number, (address.clone(), publish));
            if self.given.len() > self.most
                && let Some((_, (_, oldest))) = self.given.pop_first()
            {
                self.due.push(oldest);
            }
            return Some(Ok(Delivery {
                address,
                payload,
                cursor: Some(cursor(number)),
            }));
        }
        std::mem::take(&mut self.is_lost).then_some(Err(Error::Away))
    }

    pub(crate) fn acknowledge(&mut self, address: &DeliveryAddress, cursor: &Cursor) {
        let Ok(number) = cursor.as_bytes().try_into().map(u64::from_be_bytes) else {
            return;
        };
        let upto = self.given.range(..=number);
        let upto: Vec<_> = upto
            .filter(|(_, (of, _))| of == address)
            .map(|(number, _)| *number)
            .collect();
        for number in upto {
            if let Some((_, publish)) = self.given.remove(&number) {
                self.due.push(publish);
            }
        }
    }

    /// What is to be acknowledged at the broker.
    pub(crate) fn due(&mut self) -> Vec<Publish> {
        std::mem::take(&mut self.due)
    }
}

fn cursor(number: u64) -> Cursor {
    let bytes = Bytes::copy_from_slice(&number.to_be_bytes());
    Cursor::new(bytes).expect("a cursor may have eight bytes")
}
