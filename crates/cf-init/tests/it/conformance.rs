//! The laws of [`cf_core::InitializationProtocol`].

use cf_identity::SoftwareIdentity;
use cf_init::InboxProtocol;
use cf_testkit::SeededRandom;

cf_testkit::initialization_tests!(inbox, || {
    let identity =
        |number: u64| SoftwareIdentity::generate(&mut SeededRandom::new(number)).unwrap();
    (InboxProtocol::new(), identity)
});
