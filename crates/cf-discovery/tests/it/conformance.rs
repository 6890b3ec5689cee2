//! The laws of [`cf_core::DiscoveryProtocol`].

use cf_discovery::Link;

cf_testkit::discovery_tests!(link, || Link);
