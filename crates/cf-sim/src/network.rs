use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use cf_core::{
    Condition, Cursor, DeliveryAddress, DeliveryService, Locator, Outcome, PayloadId,
    PublishRequest, Resume, Start,
};

/// An address on a service.
pub(crate) type Place = (Locator, DeliveryAddress);

/// The services of a life: they keep everything, and what they declare.
#[derive(Default)]
pub(crate) struct Network {
    services: BTreeMap<Locator, Service>,
    pub(crate) logs: BTreeMap<Place, Vec<Bytes>>,
    /// How far each client has acknowledged.
    acknowledged: BTreeMap<(usize, Place), usize>,
}

struct Service {
    resume: Resume,
    conditional: bool,
    suppresses: bool,
    max_payload_len: usize,
    taken: HashMap<PayloadId, usize>,
}

impl Network {
    pub(crate) fn add(&mut self, service: &dyn DeliveryService) {
        let capabilities = service.capabilities();
        let service_of = || Service {
            resume: capabilities.resume,
            conditional: capabilities.conditional_publish,
            suppresses: capabilities.duplicate_suppression.is_some(),
            max_payload_len: capabilities.max_payload_len,
            taken: HashMap::new(),
        };
        let entry = self.services.entry(service.locator().clone());
        entry.or_insert_with(service_of);
    }

    /// Publishes; also says whether the payload is a new one in the log.
    pub(crate) fn publish(
        &mut self,
        locator: &Locator,
        request: &PublishRequest,
    ) -> (Outcome, bool) {
        let Some(service) = self.services.get_mut(locator) else {
            let away = cf_core::Error::unavailable("there is no such service");
            return (Outcome::Unavailable(away), false);
        };
        if request.payload.len() > service.max_payload_len {
            let error = cf_core::Error::rejected("the payload is too long");
            return (Outcome::Refused(error), false);
        }
        let accepted = |index| Outcome::Accepted {
            cursor: Some(cursor(index)),
        };
        if let Some(id) = request.id.filter(|_| service.suppresses)
            && let Some(index) = service.taken.get(&id)
        {
            return (accepted(*index), false);
        }
        let place = (locator.clone(), request.address.clone());
        let log = self.logs.entry(place).or_default();
        let current = log.len().checked_sub(1).map(cursor);
        let holds = match &request.condition {
            None => true,
            Some(_) if !service.conditional => {
                let error = cf_core::Error::unsupported("no conditions here");
                return (Outcome::Refused(error), false);
            }
            Some(Condition::Empty) => current.is_none(),
            Some(Condition::LastIs(last)) => current.as_ref() == Some(last),
        };
        if !holds {
            return (Outcome::Conflict { current }, false);
        }
        log.push(request.payload.clone());
        let index = log.len() - 1;
        if let Some(id) = request.id {
            service.taken.insert(id, index);
        }
        (accepted(index), true)
    }

    /// Where a client's subscription begins.
    pub(crate) fn start(&self, client: usize, place: &Place, start: &Start) -> usize {
        let resume = self.services.get(&place.0).map(|service| service.resume);
        match (resume, start) {
            (None, _) => 0,
            (Some(Resume::WhereStopped), Start::After(_)) => {
                let stopped = self.acknowledged.get(&(client, place.clone()));
                stopped.map_or(0, |index| index + 1)
            }
            (Some(Resume::AnyCursor | Resume::WhereStopped), Start::Earliest) => 0,
            (Some(Resume::AnyCursor), Start::After(cursor)) => position(cursor) + 1,
            _ => self.logs.get(place).map_or(0, Vec::len),
        }
    }

    pub(crate) fn acknowledge(&mut self, client: usize, place: Place, cursor: &Cursor) {
        let to = position(cursor);
        let at = self.acknowledged.entry((client, place)).or_default();
        *at = to.max(*at);
    }
}

pub(crate) fn cursor(index: usize) -> Cursor {
    Cursor::new((index as u64).to_be_bytes().to_vec()).expect("8 bytes")
}

/// The place that a cursor of this network stands for.
pub(crate) fn position(cursor: &Cursor) -> usize {
    let bytes = cursor.as_bytes().try_into().unwrap_or_default();
    u64::from_be_bytes(bytes) as usize
}
