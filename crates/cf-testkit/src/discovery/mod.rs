//! The conformance suite of [`DiscoveryProtocol`].

mod answers;
mod bundles;
pub mod law;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{Advertised, Advertisement, BundleSet, DiscoveryProtocol, Random, Result, Timestamp};
use tokio::time::timeout;

pub use answers::{
    a_hostile_answer_is_bounded_and_gives_a_typed_error,
    a_query_that_is_not_recognized_contacts_nobody,
};
pub use bundles::{
    a_bundle_set_survives_byte_for_byte, a_refresh_keeps_the_query_and_shows_the_newest_set,
    any_bytes_are_carried, what_has_expired_is_not_found,
};

use crate::{Law, SeededRandom, UnderTest, Verdict};

/// Makes one test for each law of [`DiscoveryProtocol`].
///
/// The factory gives a protocol (a value, a `Box<dyn DiscoveryProtocol>` or an
/// `Arc<dyn DiscoveryProtocol>`) that both advertises and resolves, a
/// [`DiscoveryUnderTest`], or a future of one of these.
///
/// ```
/// # mod mine { pub fn discovery() -> Box<dyn cf_core::DiscoveryProtocol> { todo!() } }
/// cf_testkit::discovery_tests!(my_discovery, || mine::discovery());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! discovery_tests {
    ($name:ident, $factory:expr) => {
        $crate::async_law_tests! { $name, $factory, [$crate::discovery],
            a_bundle_set_survives_byte_for_byte
            any_bytes_are_carried
            what_has_expired_is_not_found
            a_refresh_keeps_the_query_and_shows_the_newest_set
            a_query_that_is_not_recognized_contacts_nobody
            a_hostile_answer_is_bounded_and_gives_a_typed_error
        }
    };
}

/// When the tests take place: late in 2025.
pub const NOW: Timestamp = Timestamp(1_765_000_000_000);

/// A discovery protocol and how to test it.
#[derive(Clone)]
pub struct DiscoveryUnderTest {
    advertiser: Arc<dyn DiscoveryProtocol>,
    resolver: Arc<dyn DiscoveryProtocol>,
    hostile: Vec<String>,
    contacts: Option<Arc<dyn Fn() -> u64 + Send + Sync>>,
    patience: Duration,
}

impl DiscoveryUnderTest {
    /// The most sets that an answer may hold.
    pub const MAX_SETS: usize = 256;

    /// Tests one client that advertises and another that resolves.
    pub fn new(
        advertiser: Arc<dyn DiscoveryProtocol>,
        resolver: Arc<dyn DiscoveryProtocol>,
    ) -> Self {
        Self {
            advertiser,
            resolver,
            hostile: Vec::new(),
            contacts: None,
            patience: Duration::from_secs(10),
        }
    }

    /// Queries whose answers are hostile: the factory has put them there.
    #[must_use]
    pub fn hostile(mut self, queries: impl IntoIterator<Item = String>) -> Self {
        self.hostile = queries.into_iter().collect();
        self
    }

    /// How often the resolver has contacted somebody so far.
    #[must_use]
    pub fn contacts(mut self, count: Arc<dyn Fn() -> u64 + Send + Sync>) -> Self {
        self.contacts = Some(count);
        self
    }

    async fn advertise(
        &self,
        law: &Law,
        advertisement: Advertisement,
    ) -> Verdict<Result<Advertised>> {
        let late = |_| law.broken(format!("advertising took longer than {:?}", self.patience));
        let advertising = self.advertiser.advertise(advertisement);
        timeout(self.patience, advertising).await.map_err(late)
    }

    async fn resolve(
        &self,
        law: &Law,
        query: &str,
        now: Timestamp,
    ) -> Verdict<Result<Vec<BundleSet>>> {
        let late = |_| law.broken(format!("resolving took longer than {:?}", self.patience));
        let resolving = self.resolver.resolve(query, now);
        timeout(self.patience, resolving).await.map_err(late)
    }
}

impl UnderTest for DiscoveryUnderTest {
    type Contract = dyn DiscoveryProtocol;

    fn of(protocol: Arc<dyn DiscoveryProtocol>) -> Self {
        Self::new(protocol.clone(), protocol)
    }
}

impl fmt::Debug for DiscoveryUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiscoveryUnderTest({})", self.resolver.id())
    }
}

/// An advertisement of these bundles that expires in an hour.
fn advertisement(random: &mut SeededRandom, bundles: BundleSet) -> Advertisement {
    let mut seed = [0; 32];
    random.fill(&mut seed);
    Advertisement {
        bundles,
        expires_at: NOW.after(Duration::from_secs(3600)),
        generation: 1,
        state: None,
        now: NOW,
        seed,
    }
}
