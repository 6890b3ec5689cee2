//! The kit's suite, also over networks with faults.

use std::sync::Arc;
use std::time::Duration;

use cf_core::{DeliveryService, Spread};
use cf_ds::{Redundant, RedundantOptions, Segmented};
use cf_testkit::{DeliveryUnderTest, Faults, FaultyService, UnderTest};

use super::{memory, of};

cf_testkit::delivery_service_tests!(one, || of(&["a"]));
cf_testkit::delivery_service_tests!(two, || of(&["a", "b"]));
cf_testkit::delivery_service_tests!(three, || of(&["a", "b", "c"]));
cf_testkit::delivery_service_tests!(the_first_of_two, || {
    let options = RedundantOptions {
        spread: Spread::First,
        ..RedundantOptions::default()
    };
    let services = vec![Arc::new(memory("a")) as _, Arc::new(memory("b")) as _];
    Redundant::with_options(services, options).unwrap()
});
cf_testkit::delivery_service_tests!(of_segmented, || {
    let around = |name| Segmented::new(Arc::new(memory(name))).unwrap();
    Redundant::new(vec![Arc::new(around("a")), Arc::new(around("b"))]).unwrap()
});
cf_testkit::delivery_service_tests!(within_segmented, || {
    Segmented::new(Arc::new(of(&["a", "b"]))).unwrap()
});

const QUICK: Duration = Duration::from_millis(3);

fn over(faults: Faults) -> Redundant {
    let faulty = |name, seed| -> Arc<dyn DeliveryService> {
        Arc::new(FaultyService::new(Arc::new(memory(name)), faults, seed))
    };
    Redundant::new(vec![faulty("a", 1), faulty("b", 2)]).unwrap()
}

cf_testkit::delivery_service_tests!(lossy, || over(Faults {
    loss: 20,
    ..Faults::NONE
}));
cf_testkit::delivery_service_tests!(repeating, || over(Faults {
    repetition: 30,
    ..Faults::NONE
}));
cf_testkit::delivery_service_tests!(reordering, || over(Faults {
    reordering: 50,
    delay: QUICK,
    ..Faults::NONE
}));
cf_testkit::delivery_service_tests!(losing_answers, || over(Faults {
    lost_answers: 20,
    ..Faults::NONE
}));
cf_testkit::delivery_service_tests!(bad_in_every_way, || over(Faults {
    stall: QUICK,
    delay: QUICK,
    ..Faults::BAD
}));

/// Cuts `cut` of two networks for a moment.
fn cut(cut: usize) -> DeliveryUnderTest {
    let networks = ["a", "b"].map(|name| {
        let inner = Arc::new(memory(name));
        FaultyService::new(inner, Faults::NONE, 3)
    });
    let services = networks.iter().map(|one| Arc::new(one.clone()) as _);
    let service = Redundant::new(services.collect()).unwrap();
    DeliveryUnderTest::of(Arc::new(service)).reconnect(Arc::new(move || {
        let networks = networks.clone();
        Box::pin(async move {
            networks.iter().take(cut).for_each(FaultyService::cut);
            tokio::time::sleep(Duration::from_millis(20)).await;
            networks.iter().take(cut).for_each(FaultyService::mend);
        })
    }))
}

cf_testkit::delivery_service_tests!(one_cut_and_mended, || cut(1));
cf_testkit::delivery_service_tests!(both_cut_and_mended, || cut(2));
