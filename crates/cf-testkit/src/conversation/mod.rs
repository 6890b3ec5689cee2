//! The conformance suite of [`ConversationProtocol`].

mod delivery;
mod establish;
pub mod law;
mod pair;
mod refusals;
mod restart;
mod secrecy;
mod side;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{ConversationProtocol, Identity, Timestamp};

pub use delivery::{
    a_content_is_told_at_most_once, a_state_is_never_better_than_the_truth,
    both_sides_exchange_content, content_comes_in_order_while_no_gap_is_open,
    content_is_delivered_in_spite_of_loss,
};
pub use refusals::{
    a_forged_frame_brings_no_content, a_miss_is_answered_within_its_budget,
    a_refused_input_changes_nothing, an_unknown_input_is_refused, hostile_parameters_are_refused,
    what_a_protocol_needs_is_checked,
};
pub use restart::{
    a_restored_instance_behaves_as_before, no_key_and_nonce_are_used_for_different_bytes,
    no_tag_is_used_for_two_frames,
};
pub use secrecy::{
    a_frame_shows_no_content, a_frame_shows_no_conversation_id, both_sides_export_one_secret,
    nothing_in_two_frames_links_them,
};

use crate::{Given, NamedIdentity, Subject, UnderTest};

/// Makes one test for each law of [`ConversationProtocol`].
///
/// The factory gives a protocol (a value, a `Box<dyn ConversationProtocol>` or an
/// `Arc<dyn ConversationProtocol>`), or a pair of it and a closure that makes the
/// identity of a number, or a [`ConversationUnderTest`]. Without identities, it is
/// tested with [`NamedIdentity`]. The kit makes the first contact up.
///
/// ```
/// # mod mine { pub fn chat() -> Box<dyn cf_core::ConversationProtocol> { todo!() } }
/// cf_testkit::conversation_tests!(my_conversation, || mine::chat());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conversation_tests {
    ($name:ident, $factory:expr) => {
        $crate::law_tests! { $name, $factory, [$crate::conversation],
            both_sides_exchange_content
            a_content_is_told_at_most_once
            a_state_is_never_better_than_the_truth
            content_is_delivered_in_spite_of_loss
            content_comes_in_order_while_no_gap_is_open
            a_refused_input_changes_nothing
            a_forged_frame_brings_no_content
            an_unknown_input_is_refused
            a_miss_is_answered_within_its_budget
            hostile_parameters_are_refused
            what_a_protocol_needs_is_checked
            a_restored_instance_behaves_as_before
            no_tag_is_used_for_two_frames
            no_key_and_nonce_are_used_for_different_bytes
            a_frame_shows_no_content
            nothing_in_two_frames_links_them
            a_frame_shows_no_conversation_id
            both_sides_export_one_secret
        }
    };
}

/// When the tests begin: late in 2025.
const NOW: Timestamp = Timestamp(1_765_000_000_000);

/// A conversation protocol and who uses it.
#[derive(Clone)]
pub struct ConversationUnderTest {
    protocol: Arc<dyn ConversationProtocol>,
    identity: Arc<dyn Fn(u64) -> Arc<dyn Identity> + Send + Sync>,
    patience: Duration,
}

impl ConversationUnderTest {
    /// Tests a protocol with the identities that `identity` makes of a number.
    pub fn new(
        protocol: Arc<dyn ConversationProtocol>,
        identity: impl Fn(u64) -> Arc<dyn Identity> + Send + Sync + 'static,
    ) -> Self {
        Self {
            protocol,
            identity: Arc::new(identity),
            patience: Duration::from_secs(3 * 24 * 60 * 60),
        }
    }

    /// How much virtual time it gets, over a bad link, to deliver what was sent
    /// or tell that it failed; three days unless said otherwise.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl UnderTest for ConversationUnderTest {
    type Contract = dyn ConversationProtocol;

    fn of(protocol: Arc<dyn ConversationProtocol>) -> Self {
        let name = |number: u64| format!("participant number {number}");
        Self::new(protocol, move |number| {
            Arc::new(NamedIdentity::new(name(number)))
        })
    }
}

/// A pair of a protocol and a closure that makes identities.
pub struct WithIdentities<Form, Other>(std::marker::PhantomData<(Form, Other)>);

impl<Form, Other, P, F, I> Given<ConversationUnderTest, WithIdentities<Form, Other>> for (P, F)
where
    P: Subject<dyn ConversationProtocol, Form>,
    F: Fn(u64) -> I + Send + Sync + 'static,
    I: Subject<dyn Identity, Other>,
{
    fn given(self) -> ConversationUnderTest {
        let (protocol, identity) = self;
        ConversationUnderTest::new(protocol.share(), move |number| identity(number).share())
    }
}

impl fmt::Debug for ConversationUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConversationUnderTest")
            .field("protocol", self.protocol.id())
            .field("properties", &self.protocol.properties())
            .finish_non_exhaustive()
    }
}
