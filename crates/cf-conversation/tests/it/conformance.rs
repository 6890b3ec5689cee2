//! The laws of [`cf_core::ConversationProtocol`].

use std::sync::Arc;

use cf_conversation::{PRIVATE, Ratchet, Reliable, private};

cf_testkit::conversation_tests!(private_1, || private());
cf_testkit::conversation_tests!(ratchet, || Ratchet::new());
cf_testkit::conversation_tests!(reliable, || Reliable::new(
    PRIVATE,
    Arc::new(Ratchet::new())
));
