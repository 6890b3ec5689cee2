use std::collections::BTreeMap;
use std::sync::Arc;

use cf_core::{
    Capabilities, Component, ConversationProtocol, DeliveryAddress, DeliveryPoint, DeliveryService,
    DiscoveryProtocol, Error, FramingStrategy, Identity, InitializationProtocol, Locator,
    PointInfo, ProtocolDescriptor, ProtocolId, Random, Result,
};

use crate::declared;

/// What a client is composed of: the five choices, each in order of preference.
#[derive(Clone, Default)]
pub struct Components {
    /// The delivery services.
    pub services: Vec<Arc<dyn DeliveryService>>,
    /// The framing strategies.
    pub framings: Vec<Arc<dyn FramingStrategy>>,
    /// The discovery protocols.
    pub discoveries: Vec<Arc<dyn DiscoveryProtocol>>,
    /// The initialization protocols.
    pub initializations: Vec<Arc<dyn InitializationProtocol>>,
    /// The conversation protocols.
    pub conversations: Vec<Arc<dyn ConversationProtocol>>,
}

impl Components {
    /// The five choices as data, with what each component declares.
    pub fn descriptor(&self) -> ProtocolDescriptor {
        fn of<T: ?Sized>(all: &[Arc<T>], declare: fn(&T) -> Component) -> Vec<Component> {
            all.iter().map(|component| declare(component)).collect()
        }
        ProtocolDescriptor {
            delivery_services: of(&self.services, declared::service),
            framings: of(&self.framings, declared::framing),
            discoveries: of(&self.discoveries, declared::discovery),
            initializations: of(&self.initializations, declared::initialization),
            conversations: of(&self.conversations, declared::conversation),
        }
    }

    pub(crate) fn service(&self, locator: &Locator) -> Option<&Arc<dyn DeliveryService>> {
        self.services
            .iter()
            .find(|service| service.locator() == locator)
    }

    /// A discovery; one that is missing may come back.
    pub(crate) fn discovery(&self, id: &ProtocolId) -> Result<&Arc<dyn DiscoveryProtocol>> {
        let mut all = self.discoveries.iter();
        let missing = || Error::unavailable(format!("this client does not have {id}"));
        all.find(|discovery| discovery.id() == id)
            .ok_or_else(missing)
    }

    pub(crate) fn framing(&self, id: &ProtocolId) -> Option<&Arc<dyn FramingStrategy>> {
        self.framings.iter().find(|framing| framing.id() == id)
    }

    pub(crate) fn conversation(&self, id: &ProtocolId) -> Option<&Arc<dyn ConversationProtocol>> {
        self.conversations
            .iter()
            .find(|conversation| conversation.id() == id)
    }

    pub(crate) fn conversation_ids(&self) -> Vec<ProtocolId> {
        self.conversations
            .iter()
            .map(|conversation| conversation.id().clone())
            .collect()
    }

    /// What a conversation may rely on at a point. A service that is not
    /// connected promises nothing, and a framing that is missing takes nothing.
    pub(crate) fn point_info(&self, point: &DeliveryPoint) -> PointInfo {
        let capabilities = match self.service(&point.locator) {
            Some(service) => service.capabilities(),
            None => Capabilities::none(0),
        };
        let max_body_len = match self.framing(&point.framing) {
            Some(framing) => framing.max_body_len(capabilities.max_payload_len),
            None => 0,
        };
        PointInfo {
            point: point.clone(),
            max_body_len,
            capabilities,
        }
    }

    /// A peer's points, as a conversation gets them: those that can be reached, or
    /// all of them where none can now.
    pub(crate) fn peer_points(&self, points: &[DeliveryPoint]) -> Vec<PointInfo> {
        let reached: Vec<_> = points.iter().filter(|point| self.reaches(point)).collect();
        let chosen = match reached.is_empty() {
            true => points.iter().collect(),
            false => reached,
        };
        chosen
            .into_iter()
            .map(|point| self.point_info(point))
            .collect()
    }

    /// Whether a payload could be sent to a point.
    pub(crate) fn reaches(&self, point: &DeliveryPoint) -> bool {
        self.service(&point.locator).is_some() && self.framing(&point.framing).is_some()
    }

    /// Fresh points for one conversation, where a peer with these points can
    /// send to: on services and with a framing that it uses itself, if there are.
    pub(crate) fn fresh_points(
        &self,
        peer: &[DeliveryPoint],
        random: &mut dyn Random,
    ) -> Vec<PointInfo> {
        let shared = |service: &&Arc<dyn DeliveryService>| {
            peer.iter().any(|point| point.locator == *service.locator())
        };
        let mut services: Vec<_> = self.services.iter().filter(shared).collect();
        if services.is_empty() {
            services = self.services.iter().collect();
        }
        let services: Vec<_> = services.into_iter().map(|s| s.locator().clone()).collect();
        self.points_on(&services, peer, random)
    }

    /// Fresh points on these services, with a framing that is used at `like`, if
    /// there is one.
    pub(crate) fn points_on(
        &self,
        services: &[Locator],
        like: &[DeliveryPoint],
        random: &mut dyn Random,
    ) -> Vec<PointInfo> {
        let framing = self
            .framings
            .iter()
            .find(|framing| like.iter().any(|point| point.framing == *framing.id()))
            .or(self.framings.first());
        let points = services.iter().zip(framing.into_iter().cycle());
        points
            .map(|(locator, framing)| {
                self.point_info(&DeliveryPoint {
                    locator: locator.clone(),
                    address: DeliveryAddress::random(random),
                    framing: framing.id().clone(),
                })
            })
            .collect()
    }

    /// Fresh points for one link: every service with every framing.
    pub(crate) fn link_points(&self, random: &mut dyn Random) -> Vec<DeliveryPoint> {
        let mut points = Vec::new();
        for service in &self.services {
            for framing in &self.framings {
                points.push(DeliveryPoint {
                    locator: service.locator().clone(),
                    address: DeliveryAddress::random(random),
                    framing: framing.id().clone(),
                });
            }
        }
        points
    }
}

/// What a client is, beside its components.
#[derive(Clone)]
pub struct Profile {
    /// Who it is.
    pub identity: Arc<dyn Identity>,
    /// A name that invites and bundles carry; a claim that nobody verifies.
    pub display_name: String,
}

/// How often each thing happened since the client started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By name, for instance `rejected.frame`.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub(crate) fn add(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// How often something happened.
    pub fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or_default()
    }
}
