//! The laws of [`cf_core::Identity`].

use cf_identity::SoftwareIdentity;
use cf_testkit::SeededRandom;

cf_testkit::identity_tests!(software, || |number: u64| {
    SoftwareIdentity::generate(&mut SeededRandom::new(number)).unwrap()
});
