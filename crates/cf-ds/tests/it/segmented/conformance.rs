//! The kit's suite, also over networks with faults.

use std::sync::Arc;
use std::time::Duration;

use cf_ds::Segmented;
use cf_testkit::{DeliveryUnderTest, Faults, FaultyService, UnderTest};

use super::{around, small};

cf_testkit::delivery_service_tests!(memory, || around(&small()));

const QUICK: Duration = Duration::from_millis(3);

fn over(faults: Faults) -> Segmented {
    Segmented::new(Arc::new(FaultyService::new(Arc::new(small()), faults, 4))).unwrap()
}

cf_testkit::delivery_service_tests!(lossy, || over(Faults {
    loss: 20,
    ..Faults::NONE
}));
cf_testkit::delivery_service_tests!(repeating, || over(Faults {
    repetition: 30,
    ..Faults::NONE
}));
cf_testkit::delivery_service_tests!(delayed, || over(Faults {
    delay: QUICK,
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
cf_testkit::delivery_service_tests!(cut_and_mended, || {
    let network = FaultyService::new(Arc::new(small()), Faults::NONE, 4);
    let service = Segmented::new(Arc::new(network.clone())).unwrap();
    DeliveryUnderTest::of(Arc::new(service)).reconnect(Arc::new(move || {
        let network = network.clone();
        Box::pin(async move {
            network.cut();
            tokio::time::sleep(Duration::from_millis(20)).await;
            network.mend();
        })
    }))
});
