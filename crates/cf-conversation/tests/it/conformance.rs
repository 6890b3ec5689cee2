//! The laws of [`cf_core::ConversationProtocol`].

use std::sync::Arc;

use cf_conversation::{PRIVATE, Ratchet, Reliable, private, private_2};

cf_testkit::conversation_tests!(private_1, || private());
cf_testkit::conversation_tests!(private_2, || private_2());
cf_testkit::conversation_tests!(ratchet, || Ratchet::new());
cf_testkit::conversation_tests!(ratchet_2, || Ratchet::healing());
cf_testkit::conversation_tests!(reliable, || Reliable::new(
    PRIVATE,
    Arc::new(Ratchet::new())
));
