//! The laws of [`cf_core::ConversationProtocol`].

use cf_conversation::{Ratchet, private};

cf_testkit::conversation_tests!(private_1, || private());
cf_testkit::conversation_tests!(ratchet, || Ratchet::new());
