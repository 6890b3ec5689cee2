pub(crate) mod toy;

use std::sync::Arc;
use std::time::Duration;

use cf_core::{Capabilities, DeliveryService, Resume};
use cf_testkit::delivery::*;
use cf_testkit::{Law, Verdict};

use self::toy::{Fault, Toy};
use crate::assert_broken;

cf_testkit::delivery_service_tests!(a_value, || Toy::new(None));
cf_testkit::delivery_service_tests!(boxed, || Box::new(Toy::new(None))
    as Box<dyn DeliveryService>);
cf_testkit::delivery_service_tests!(shared, || {
    Arc::new(Toy::new(None)) as Arc<dyn DeliveryService>
});
cf_testkit::delivery_service_tests!(with_everything, || async { under_test(Toy::new(None)) });
cf_testkit::delivery_service_tests!(without_promises, || Toy::with(
    Capabilities::none(1000),
    None
));
cf_testkit::delivery_service_tests!(where_stopped, || Toy::with(
    where_stopped_capabilities(),
    None
));

fn where_stopped_capabilities() -> Capabilities {
    Capabilities {
        retention: Some(Duration::from_secs(60)),
        resume: Resume::WhereStopped,
        ..Capabilities::none(100_000)
    }
}

fn under_test(toy: Toy) -> DeliveryUnderTest {
    let beside = Arc::new(toy.beside());
    let connection = toy.clone();
    DeliveryUnderTest::new(Arc::new(toy))
        .beside(beside)
        .reconnect(Arc::new(move || {
            connection.reconnect();
            Box::pin(std::future::ready(()))
        }))
}

async fn is_caught<L: Future<Output = Verdict>>(
    toy: Toy,
    law: Law,
    check: impl Fn(DeliveryUnderTest) -> L,
) {
    let under_test =
        under_test(toy).patience(Duration::from_millis(400), Duration::from_millis(60));
    assert_broken(check(under_test).await, law);
}

macro_rules! caught {
    ($($name:ident: $fault:ident by $law:ident in $check:ident;)+) => {$(
        #[tokio::test]
        async fn $name() {
            is_caught(Toy::new(Some(Fault::$fault)), law::$law, $check).await;
        }
    )+};
}

caught! {
    losing_the_last_byte: LosesTheLastByte by EVERY_SUBSCRIBER
        in every_subscriber_gets_each_payload;
    delivering_to_the_wrong_address: DeliversToTheWrongAddress by OTHER_ADDRESSES
        in nothing_comes_for_other_addresses;
    ignoring_remove: IgnoresRemove by REMOVED in a_removed_address_brings_nothing_more;
    ending_with_the_first_subscriber: EndsWithItsFirstSubscriber by DROPPED
        in a_dropped_subscription_is_over_and_harms_nobody;
    forgetting_what_is_retained: ForgetsWhatIsRetained by LATE
        in a_late_subscriber_gets_what_is_retained;
    dropping_a_payload_at_resume: DropsAPayloadAtResume by AFTER_CURSOR
        in a_subscription_resumes_after_any_cursor;
    beginning_latest_at_the_earliest: BeginsLatestAtTheEarliest by LATEST
        in a_subscription_from_the_latest_brings_only_what_comes_then;
    moving_nothing: MovesNothing by MOVED in adding_an_address_again_moves_it;
    taking_foreign_cursors: TakesForeignCursors by FOREIGN_CURSOR
        in a_foreign_cursor_is_misuse_and_changes_nothing;
    having_two_orders: HasTwoOrders by ORDER in every_subscriber_sees_one_order;
    having_two_winners: HasTwoWinners by ONE_WINNER in a_conditional_publish_has_one_winner;
    telling_losers_nothing: TellsLosersNothing by CONFLICT
        in a_loser_is_told_the_current_cursor;
    repeating_publishes: RepeatsPublishes by SUPPRESSION in a_repeated_publish_is_dropped;
    taking_one_byte_too_many: TakesOneByteTooMany by LIMIT
        in the_longest_payload_passes_and_one_byte_more_is_refused;
    taking_before_answering: TakesBeforeItAnswers by CANCEL_SAFE in a_dropped_next_loses_nothing;
    accepting_before_storing: AcceptsBeforeStoring by TRUTH
        in an_outcome_is_never_better_than_the_truth;
    accepting_what_is_only_queued: AcceptsWhatIsOnlyQueued by TRUTH
        in an_outcome_is_never_better_than_the_truth;
    changing_its_mind: ChangesItsMind by CONSTANT in capabilities_do_not_change;
    forgetting_addresses_at_reconnection: ForgetsAddressesAtReconnection by RECONNECTION
        in a_lost_connection_comes_back_by_itself;
}

#[tokio::test]
async fn acknowledging_by_itself() {
    let toy = Toy::with(
        where_stopped_capabilities(),
        Some(Fault::AcknowledgesByItself),
    );
    is_caught(
        toy,
        law::WHERE_STOPPED,
        a_subscription_resumes_where_it_stopped,
    )
    .await;
}

#[tokio::test]
async fn ignoring_conditions() {
    let toy = Toy::with(Capabilities::none(1000), Some(Fault::IgnoresConditions));
    let check = a_condition_is_refused_where_it_is_not_kept;
    is_caught(toy, law::CONDITION_UNSUPPORTED, check).await;
}

#[tokio::test]
async fn waiting_for_the_slowest() {
    let toy = Toy::new(Some(Fault::WaitsForTheSlowest));
    is_caught(toy, law::SLOW, a_slow_subscriber_harms_no_other).await;
}

/// A capability that is declared and not kept fails; one that is not declared
/// passes, whatever the service does.
#[tokio::test]
async fn what_is_not_declared_is_not_asserted() {
    let forgetful = || Some(Fault::ForgetsWhatIsRetained);
    let check = a_late_subscriber_gets_what_is_retained;
    is_caught(Toy::new(forgetful()), law::LATE, check).await;
    let undeclared = Toy::with(Capabilities::none(1000), forgetful());
    check(DeliveryUnderTest::new(Arc::new(undeclared)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_violation_names_the_law_and_quotes_the_contract() {
    let toy = Toy::new(Some(Fault::LosesTheLastByte));
    let under_test =
        under_test(toy).patience(Duration::from_millis(200), Duration::from_millis(20));
    let violation = every_subscriber_gets_each_payload(under_test)
        .await
        .unwrap_err();
    let text = violation.to_string();
    let start = "law \"every subscriber gets each payload\": cf_core::DeliveryService, \
                 «A payload published to an address is delivered, byte for byte, to every";
    assert!(text.starts_with(start), "{text}");
}
