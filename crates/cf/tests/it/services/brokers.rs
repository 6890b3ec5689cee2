use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use cf::core::DeliveryService;
use cf_ds_mqtt::MqttService;
use cf_testkit::servers::Mosquitto;

use super::talk::Talk;
use super::{random, while_it_lasts};

/// How many messages both write together in a second: few enough that what a broker
/// lost is sent again before too many others wait for it.
const RATE: u32 = 20;

async fn connect(broker: &Mosquitto, who: &str) -> Arc<dyn DeliveryService> {
    let url = format!("{}/?client={who}", broker.url());
    Arc::new(MqttService::connect(&url).await.unwrap())
}

/// A broker that is killed has lost what it had not written yet, and the sessions that
/// were new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_over_a_broker_that_is_killed_and_started_on_its_data() {
    let mut broker = Mosquitto::start();
    let services = [
        connect(&broker, "saro").await,
        connect(&broker, "raya").await,
    ];
    let talk = Talk::begin(services, RATE).await;
    let broker = talk.survives(move || {
        let mut random = random();
        let kills = while_it_lasts(|| {
            sleep(Duration::from_millis(500 + random.below(1000)));
            broker.kill();
            sleep(Duration::from_millis(random.below(300)));
            broker.run();
        });
        (kills, broker)
    });
    let _broker = broker.await;
}
