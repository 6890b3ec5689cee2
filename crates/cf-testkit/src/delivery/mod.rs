//! The conformance suite of [`DeliveryService`].

mod condition;
pub mod law;
mod limit;
mod order;
mod reader;
mod resume;
mod routing;
mod truth;

use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use cf_core::{BoxFuture, DeliveryService};

pub use condition::{
    a_condition_is_refused_where_it_is_not_kept, a_conditional_publish_has_one_winner,
    a_loser_is_told_the_current_cursor,
};
pub use limit::{
    a_dropped_next_loses_nothing, a_slow_subscriber_harms_no_other,
    the_longest_payload_passes_and_one_byte_more_is_refused,
};
pub use order::every_subscriber_sees_one_order;
pub use resume::{
    a_foreign_cursor_is_misuse_and_changes_nothing, a_late_subscriber_gets_what_is_retained,
    a_subscription_from_the_latest_brings_only_what_comes_then,
    a_subscription_resumes_after_any_cursor, a_subscription_resumes_where_it_stopped,
    adding_an_address_again_moves_it,
};
pub use routing::{
    a_dropped_subscription_is_over_and_harms_nobody, a_removed_address_brings_nothing_more,
    every_subscriber_gets_each_payload, nothing_comes_for_other_addresses,
};
pub use truth::{
    a_lost_connection_comes_back_by_itself, a_repeated_publish_is_dropped,
    an_outcome_is_never_better_than_the_truth, capabilities_do_not_change,
};

use crate::{SeededRandom, UnderTest};

/// Makes one test for each law of [`DeliveryService`].
///
/// The factory gives a service (a value, a `Box<dyn DeliveryService>` or an
/// `Arc<dyn DeliveryService>`), a [`DeliveryUnderTest`], or a future of one of
/// these. Each law runs on what a call of its own gave, at addresses that nobody
/// else has, so that a factory may give the same real server again and again.
///
/// ```
/// # mod service { pub fn connect() -> std::sync::Arc<dyn cf_core::DeliveryService> { todo!() } }
/// cf_testkit::delivery_service_tests!(my_service, || service::connect());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! delivery_service_tests {
    ($name:ident, $factory:expr) => {
        $crate::async_law_tests! { $name, $factory, [$crate::delivery],
            every_subscriber_gets_each_payload
            nothing_comes_for_other_addresses
            a_removed_address_brings_nothing_more
            a_dropped_subscription_is_over_and_harms_nobody
            a_late_subscriber_gets_what_is_retained
            a_subscription_resumes_after_any_cursor
            a_subscription_resumes_where_it_stopped
            a_subscription_from_the_latest_brings_only_what_comes_then
            adding_an_address_again_moves_it
            a_foreign_cursor_is_misuse_and_changes_nothing
            every_subscriber_sees_one_order
            a_conditional_publish_has_one_winner
            a_loser_is_told_the_current_cursor
            a_condition_is_refused_where_it_is_not_kept
            a_repeated_publish_is_dropped
            the_longest_payload_passes_and_one_byte_more_is_refused
            a_slow_subscriber_harms_no_other
            a_dropped_next_loses_nothing
            an_outcome_is_never_better_than_the_truth
            capabilities_do_not_change
            a_lost_connection_comes_back_by_itself
        }
    };
}

/// Breaks every connection to a service and answers once a client can connect
/// again.
pub type Reconnect = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A delivery service and how to test it.
#[derive(Clone)]
pub struct DeliveryUnderTest {
    service: Arc<dyn DeliveryService>,
    beside: Arc<dyn DeliveryService>,
    reconnect: Option<Reconnect>,
    arrival: Duration,
    quiet: Duration,
    kept: Vec<Arc<dyn Any + Send + Sync>>,
}

impl DeliveryUnderTest {
    /// How long a payload that is due may take, unless said otherwise.
    pub const ARRIVAL: Duration = Duration::from_secs(10);
    /// How long nothing must come until it counts that nothing will.
    pub const QUIET: Duration = Duration::from_millis(80);

    /// Tests a service that is reached through this value alone.
    pub fn new(service: Arc<dyn DeliveryService>) -> Self {
        Self {
            beside: service.clone(),
            service,
            reconnect: None,
            arrival: Self::ARRIVAL,
            quiet: Self::QUIET,
            kept: Vec::new(),
        }
    }

    /// Another way to the same service: a second connection, another process's.
    #[must_use]
    pub fn beside(mut self, service: Arc<dyn DeliveryService>) -> Self {
        self.beside = service;
        self
    }

    /// How to break the connections, for the laws of reconnection.
    #[must_use]
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// Keeps something until the test is over: a folder, a server's process.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept.push(Arc::new(kept));
        self
    }

    /// For a slow service: how long a payload may take, and how long nothing
    /// must come until it counts that nothing will.
    #[must_use]
    pub fn patience(mut self, arrival: Duration, quiet: Duration) -> Self {
        (self.arrival, self.quiet) = (arrival, quiet);
        self
    }

    /// Whether what is accepted must arrive.
    fn promises_delivery(&self) -> bool {
        self.service.capabilities().retention.is_some()
    }

    /// How long to wait for what was accepted.
    fn due(&self) -> Duration {
        match self.promises_delivery() {
            true => self.arrival,
            false => self.quiet,
        }
    }

    /// Randomness that no other run has.
    fn random(&self) -> SeededRandom {
        SeededRandom::new(RandomState::new().build_hasher().finish())
    }
}

impl UnderTest for DeliveryUnderTest {
    type Contract = dyn DeliveryService;

    fn of(service: Arc<dyn DeliveryService>) -> Self {
        Self::new(service)
    }
}

impl fmt::Debug for DeliveryUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryUnderTest")
            .field("service", self.service.id())
            .field("capabilities", &self.service.capabilities())
            .finish_non_exhaustive()
    }
}
