mod cipher;
mod state;
mod toy;

use std::sync::Arc;

use cf_core::ConversationProtocol;
use cf_testkit::conversation::*;
use cf_testkit::{ConversationUnderTest, NamedIdentity, UnderTest};

use self::toy::{Fault, Toy};
use crate::assert_broken;

cf_testkit::conversation_tests!(a_value, || Toy::new(None));
cf_testkit::conversation_tests!(boxed, || {
    Box::new(Toy::new(None)) as Box<dyn ConversationProtocol>
});
cf_testkit::conversation_tests!(shared, || {
    Arc::new(Toy::new(None)) as Arc<dyn ConversationProtocol>
});
cf_testkit::conversation_tests!(with_identities, || {
    (Toy::new(None), |number: u64| {
        NamedIdentity::new(format!("somebody, {number}"))
    })
});

macro_rules! caught {
    ($($name:ident: $fault:ident by $law:ident in $check:ident;)+) => {$(
        #[test]
        fn $name() {
            let toy = Arc::new(Toy::new(Some(Fault::$fault)));
            assert_broken($check(ConversationUnderTest::of(toy)), law::$law);
        }
    )+};
}

caught! {
    losing_the_last_byte: LosesTheLastByte by EXCHANGE in both_sides_exchange_content;
    accepting_a_replay: AcceptsAReplay by ONCE in a_content_is_told_at_most_once;
    claiming_delivery: ClaimsDelivery by STATES in a_state_is_never_better_than_the_truth;
    never_resending: NeverResends by RELIABLE in content_is_delivered_in_spite_of_loss;
    telling_at_once: TellsAtOnce by ORDER in content_comes_in_order_while_no_gap_is_open;
    changing_what_it_refuses: ChangesWhatItRefuses by REJECTED
        in a_refused_input_changes_nothing;
    believing_every_frame: BelievesEveryFrame by FORGED in a_forged_frame_brings_no_content;
    taking_any_input: TakesAnyInput by UNKNOWN in an_unknown_input_is_refused;
    deriving_without_budget: DerivesWithoutBudget by BUDGET
        in a_miss_is_answered_within_its_budget;
    taking_any_parameters: TakesAnyParameters by PARAMETERS in hostile_parameters_are_refused;
    needing_what_it_does_not_check: NeedsWhatItDoesNotCheck by NEEDS
        in what_a_protocol_needs_is_checked;
    forgetting_at_restart: ForgetsAtRestart by RESTORED in a_restored_instance_behaves_as_before;
    reusing_tags: ReusesTags by TAGS in no_tag_is_used_for_two_frames;
    reusing_the_key_stream: ReusesTheKeyStream by KEY_STREAM
        in no_key_and_nonce_are_used_for_different_bytes;
    sending_in_the_clear: SendsInTheClear by CONFIDENTIAL in a_frame_shows_no_content;
    showing_its_session: ShowsItsSession by UNLINKABLE in nothing_in_two_frames_links_them;
    showing_the_conversation: ShowsTheConversation by ID in a_frame_shows_no_conversation_id;
    exporting_its_own: ExportsItsOwn by EXPORT in both_sides_export_one_secret;
}
