//! A delivery service over any MQTT 5 broker: QoS 1, persistent sessions.
//!
//! The protocol is `/cf/ds/mqtt/1`; the contract is [`cf_core::DeliveryService`].
//! A broker keeps no log: a payload waits only for the sessions that are subscribed
//! when it is published. So a subscription resumes where it stopped, if its client has
//! a name; no order, no conditional publish and no suppression is declared.

mod connector;
mod error;
mod link;
mod options;
mod service;
mod session;
mod subscription;

pub use connector::MqttConnector;
pub use error::Error;
pub use options::MqttOptions;
pub use service::MqttService;
