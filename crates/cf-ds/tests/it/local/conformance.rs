use std::sync::Arc;

use cf_core::{
    BoxFuture, Capabilities, DeliveryService, Locator, Outcome, ProtocolId, PublishRequest, Result,
    Subscription,
};
use cf_ds::LocalService;
use cf_testkit::delivery::DeliveryUnderTest;
use tempfile::TempDir;

cf_testkit::delivery_service_tests!(suite, || {
    let directory = TempDir::new().unwrap();
    let [service, beside] = [(); 2].map(|()| {
        let path = directory.path().join("kit.db");
        Arc::new(LocalService::open(path).unwrap())
    });
    let service = Kept {
        service,
        _file: directory,
    };
    DeliveryUnderTest::new(Arc::new(service)).beside(beside)
});

/// A service whose file is there for as long as it is.
struct Kept {
    service: Arc<dyn DeliveryService>,
    _file: TempDir,
}

impl DeliveryService for Kept {
    fn id(&self) -> &ProtocolId {
        self.service.id()
    }

    fn locator(&self) -> &Locator {
        self.service.locator()
    }

    fn capabilities(&self) -> Capabilities {
        self.service.capabilities()
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        self.service.publish(request)
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        self.service.subscribe()
    }
}
