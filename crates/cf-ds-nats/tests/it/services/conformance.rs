use std::sync::Arc;

use cf_ds_nats::NatsService;
use cf_testkit::DeliveryUnderTest;
use cf_testkit::servers::{NatsServer, Proxy};

cf_testkit::delivery_service_tests!(one_server, || async {
    let server = NatsServer::start();
    let proxy = Proxy::start(server.port()).await;
    let url = format!("nats://127.0.0.1:{}", proxy.port());
    let service = NatsService::connect(&url).await.unwrap();
    let beside = NatsService::connect(&server.url()).await.unwrap();
    let cutter = proxy.cutter();
    DeliveryUnderTest::new(Arc::new(service))
        .beside(Arc::new(beside))
        .reconnect(Arc::new(move || {
            let cutter = cutter.clone();
            Box::pin(async move { cutter.cut().await })
        }))
        .keeping((server, proxy))
});
