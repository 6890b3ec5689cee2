mod codec;
mod toy;

use std::sync::Arc;

use cf_core::InitializationProtocol;
use cf_testkit::initialization::*;
use cf_testkit::{InitializationUnderTest, NamedIdentity, UnderTest};

use self::toy::{Fault, Toy};
use crate::assert_broken;

cf_testkit::initialization_tests!(a_value, || Toy::new(None));
cf_testkit::initialization_tests!(boxed, || {
    Box::new(Toy::new(None)) as Box<dyn InitializationProtocol>
});
cf_testkit::initialization_tests!(shared, || {
    Arc::new(Toy::new(None)) as Arc<dyn InitializationProtocol>
});
cf_testkit::initialization_tests!(with_identities, || {
    (Toy::new(None), |number: u64| {
        NamedIdentity::new(number.to_be_bytes().to_vec())
    })
});

macro_rules! caught {
    ($($name:ident: $fault:ident by $law:ident in $check:ident;)+) => {$(
        #[test]
        fn $name() {
            let toy = Arc::new(Toy::new(Some(Fault::$fault)));
            assert_broken($check(InitializationUnderTest::of(toy)), law::$law);
        }
    )+};
}

caught! {
    giving_one_secret_to_all: GivesOneSecretToAll by SECRETS
        in both_sides_export_equal_secrets_and_no_two_handshakes_do;
    ignoring_the_conversation: IgnoresTheConversation by BOUND
        in the_secret_is_bound_to_the_conversation;
    losing_the_name: LosesTheName by SEALED in an_invite_arrives_as_it_was_sealed;
    refusing_the_unknown: RefusesTheUnknown by UNKNOWN
        in an_unknown_conversation_protocol_surfaces;
    sealing_any_conversation: SealsAnyConversation by OTHER_CONVERSATION
        in a_handshake_seals_no_other_conversation;
    showing_the_conversation: ShowsTheConversation by SHOWN in an_invite_shows_no_id;
    losing_an_offer: LosesAnOffer by BUNDLE in a_bundle_reads_as_it_was_specified;
    forgetting_to_listen: ForgetsToListen by LISTENS in a_bundle_is_listened_for;
    taking_altered_bundles: TakesAlteredBundles by BAD_BUNDLE in a_sender_refuses_a_bad_bundle;
    taking_expired_bundles: TakesExpiredBundles by BAD_BUNDLE in a_sender_refuses_a_bad_bundle;
    opening_one_time_twice: OpensOneTimeTwice by ONE_TIME in a_one_time_bundle_opens_one_invite;
    opening_revoked: OpensRevoked by REVOKED in a_revoked_bundle_opens_nothing;
    opening_for_ever: OpensForEver by EXPIRED in an_invite_for_what_expired_long_ago_is_refused;
    opening_tampered: OpensTampered by TAMPERED
        in a_tampered_invite_is_refused_and_nothing_stored;
    storing_before_authenticating: StoresBeforeAuthenticating by TAMPERED
        in a_tampered_invite_is_refused_and_nothing_stored;
    opening_others: OpensOthers by RECIPIENT in an_invite_is_for_its_recipient_only;
    accepting_a_replay: AcceptsAReplay by REPEATED in the_same_invite_again_changes_nothing;
    forgetting_at_restart: ForgetsAtRestart by RESTORED in a_restored_inbox_behaves_as_before;
    recognizing_anywhere: RecognizesAnywhere by POINT
        in an_invite_is_recognized_at_its_point_only;
    signing_to_recognize: SignsToRecognize by CHEAP
        in recognizing_costs_no_asymmetric_operation;
}
