//! The probes keep the laws of their contracts: the kit fits what is nothing like
//! the stock components.

use std::sync::Arc;

use cf_identity::SoftwareIdentity;
use cf_testkit::{DiscoveryUnderTest, InitializationUnderTest, SeededRandom, UnderTest};

use super::psk::Psk;
use super::public_channel::PublicChannel;
use super::salted::Salted;
use super::static_discovery::{StaticDiscovery, Table};
use super::toy_group::ToyGroup;

fn identity(number: u64) -> SoftwareIdentity {
    SoftwareIdentity::generate(&mut SeededRandom::new(number)).expect("a seed")
}

cf_testkit::framing_tests!(salted, || Salted::new());
cf_testkit::discovery_tests!(static_table, || {
    let table = Table::default();
    let raya = StaticDiscovery::new(table.clone(), Some("raya"));
    let saro = StaticDiscovery::new(table, None);
    DiscoveryUnderTest::new(Arc::new(raya), Arc::new(saro))
});
cf_testkit::initialization_tests!(psk, || {
    InitializationUnderTest::of(Arc::new(Psk::new([7; 32]))).stranger(Arc::new(Psk::new([8; 32])))
});
cf_testkit::conversation_tests!(toy_group, || (ToyGroup::new(), identity));
cf_testkit::conversation_tests!(public_channel, || (PublicChannel::new(), identity));
