//! The laws of [`cf_core::InitializationProtocol`].

use std::sync::Arc;

use cf_core::Secret;
use cf_identity::SoftwareIdentity;
use cf_init::{InboxProtocol, PskProtocol};
use cf_testkit::{InitializationUnderTest, SeededRandom, UnderTest};

cf_testkit::initialization_tests!(inbox, || {
    let identity =
        |number: u64| SoftwareIdentity::generate(&mut SeededRandom::new(number)).unwrap();
    (InboxProtocol::new(), identity)
});

cf_testkit::initialization_tests!(psk, || {
    let protocol = |byte| Arc::new(PskProtocol::new(Secret::new(vec![byte; 32])).unwrap());
    InitializationUnderTest::of(protocol(7)).stranger(protocol(8))
});
cf_testkit::initialization_tests!(psk_of_one_key, || {
    PskProtocol::new(Secret::new(vec![7; 32])).unwrap()
});
