//! The conformance suite of [`InitializationProtocol`].

mod bundles;
mod inbox;
pub mod law;
mod refusals;
mod scene;
mod secrets;

use std::fmt;
use std::sync::Arc;

use cf_core::{Identity, InitializationProtocol, Timestamp};

pub use bundles::{
    a_bundle_is_listened_for, a_bundle_reads_as_it_was_specified,
    a_one_time_bundle_opens_one_invite, a_revoked_bundle_opens_nothing,
    a_sender_refuses_a_bad_bundle, an_invite_for_what_expired_long_ago_is_refused,
};
pub use inbox::{
    a_restored_inbox_behaves_as_before, an_invite_is_recognized_at_its_point_only,
    recognizing_costs_no_asymmetric_operation,
};
pub use refusals::{
    a_tampered_invite_is_refused_and_nothing_stored, an_invite_is_for_its_recipient_only,
    the_same_invite_again_changes_nothing,
};
pub use secrets::{
    a_handshake_seals_no_other_conversation, an_invite_arrives_as_it_was_sealed,
    an_invite_shows_no_id, an_unknown_conversation_protocol_surfaces,
    both_sides_export_equal_secrets_and_no_two_handshakes_do,
    the_secret_is_bound_to_the_conversation,
};

use crate::{Given, NamedIdentity, Subject, UnderTest};

/// Makes one test for each law of [`InitializationProtocol`].
///
/// The factory gives a protocol (a value, a `Box<dyn InitializationProtocol>` or
/// an `Arc<dyn InitializationProtocol>`), or a pair of it and a closure that makes
/// the identity of a number, or an [`InitializationUnderTest`]. Without
/// identities, it is tested with [`NamedIdentity`].
///
/// ```
/// # mod mine {
/// #     pub fn protocol() -> Box<dyn cf_core::InitializationProtocol> { todo!() }
/// #     pub fn identity(_: u64) -> Box<dyn cf_core::Identity> { todo!() }
/// # }
/// cf_testkit::initialization_tests!(my_initialization, || {
///     (mine::protocol(), |number| mine::identity(number))
/// });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! initialization_tests {
    ($name:ident, $factory:expr) => {
        $crate::law_tests! { $name, $factory, [$crate::initialization],
            both_sides_export_equal_secrets_and_no_two_handshakes_do
            the_secret_is_bound_to_the_conversation
            an_invite_arrives_as_it_was_sealed
            an_unknown_conversation_protocol_surfaces
            a_handshake_seals_no_other_conversation
            an_invite_shows_no_id
            a_bundle_reads_as_it_was_specified
            a_bundle_is_listened_for
            a_sender_refuses_a_bad_bundle
            a_one_time_bundle_opens_one_invite
            a_revoked_bundle_opens_nothing
            an_invite_for_what_expired_long_ago_is_refused
            a_tampered_invite_is_refused_and_nothing_stored
            an_invite_is_for_its_recipient_only
            the_same_invite_again_changes_nothing
            a_restored_inbox_behaves_as_before
            an_invite_is_recognized_at_its_point_only
            recognizing_costs_no_asymmetric_operation
        }
    };
}

/// When the tests take place: late in 2025.
const NOW: Timestamp = Timestamp(1_765_000_000_000);

/// An initialization protocol and who uses it.
#[derive(Clone)]
pub struct InitializationUnderTest {
    protocol: Arc<dyn InitializationProtocol>,
    stranger: Arc<dyn InitializationProtocol>,
    identity: Arc<dyn Fn(u64) -> Arc<dyn Identity> + Send + Sync>,
}

impl InitializationUnderTest {
    /// Tests a protocol with the identities that `identity` makes of a number.
    pub fn new(
        protocol: Arc<dyn InitializationProtocol>,
        identity: impl Fn(u64) -> Arc<dyn Identity> + Send + Sync + 'static,
    ) -> Self {
        Self {
            stranger: protocol.clone(),
            protocol,
            identity: Arc::new(identity),
        }
    }

    /// The protocol as a stranger has it: with another shared key, for instance.
    #[must_use]
    pub fn stranger(mut self, stranger: Arc<dyn InitializationProtocol>) -> Self {
        self.stranger = stranger;
        self
    }
}

impl UnderTest for InitializationUnderTest {
    type Contract = dyn InitializationProtocol;

    fn of(protocol: Arc<dyn InitializationProtocol>) -> Self {
        let name = |number: u64| format!("participant number {number}");
        Self::new(protocol, move |number| {
            Arc::new(NamedIdentity::new(name(number)))
        })
    }
}

/// A pair of a protocol and a closure that makes identities.
pub struct WithIdentities<Form, Other>(std::marker::PhantomData<(Form, Other)>);

impl<Form, Other, P, F, I> Given<InitializationUnderTest, WithIdentities<Form, Other>> for (P, F)
where
    P: Subject<dyn InitializationProtocol, Form>,
    F: Fn(u64) -> I + Send + Sync + 'static,
    I: Subject<dyn Identity, Other>,
{
    fn given(self) -> InitializationUnderTest {
        let (protocol, identity) = self;
        InitializationUnderTest::new(protocol.share(), move |number| identity(number).share())
    }
}

impl fmt::Debug for InitializationUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InitializationUnderTest({})", self.protocol.id())
    }
}
