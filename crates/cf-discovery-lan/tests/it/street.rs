//! A network within the process, and clients on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cf_core::{
    Advertisement, BoxFuture, BundleSet, DeliveryService, DiscoveryProtocol, ProtocolId, Random,
    Result, Timestamp,
};
use cf_discovery::{Link, ShortLink};
use cf_discovery_lan::{Announcement, Heard, Lan, Network};
use cf_ds::MemoryService;
use cf_identity::SoftwareIdentity;
use cf_testkit::SeededRandom;
use parking_lot::Mutex;

pub(crate) const NOW: Timestamp = Timestamp(1_765_000_000_000);

/// Whatever is announced here is heard, also what breaks the format.
#[derive(Default)]
pub(crate) struct Street {
    pub(crate) said: Mutex<BTreeMap<String, Heard>>,
    pub(crate) asked: AtomicU64,
}

impl Street {
    pub(crate) fn say(&self, instance: &str, strings: &[(&str, &[u8])]) {
        let strings = strings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.to_vec()));
        let heard = Heard {
            strings: strings.collect(),
        };
        self.said.lock().insert(instance.to_owned(), heard);
    }

    pub(crate) fn say_link(&self, instance: &str, name: &str, link: &str) {
        let name = name.as_bytes();
        self.say(
            instance,
            &[("txtvers", b"1"), ("n", name), ("0", link.as_bytes())],
        );
    }
}

impl Network for Street {
    fn announce(&self, announcement: &Announcement) -> Result<()> {
        let strings = announcement.encode().into_iter();
        let strings = strings.map(|(key, value)| (key, value.into_bytes()));
        let heard = Heard {
            strings: strings.collect(),
        };
        self.said.lock().insert(announcement.instance(), heard);
        Ok(())
    }

    fn withdraw(&self, instance: &str) -> Result<()> {
        self.said.lock().remove(instance);
        Ok(())
    }

    fn browse(&self) -> BoxFuture<'_, Result<Vec<Heard>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let all = self.said.lock().values().cloned().collect();
        Box::pin(async move { Ok(all) })
    }
}

/// A client of this name, with short links where there is a service.
pub(crate) fn client(
    name: &str,
    seed: u64,
    street: &Arc<Street>,
    service: Option<&MemoryService>,
) -> Lan {
    Lan::new(street.clone(), discoveries(seed, service))
        .named(name)
        .expect("it is good")
}

pub(crate) fn discoveries(
    seed: u64,
    service: Option<&MemoryService>,
) -> Vec<Arc<dyn DiscoveryProtocol>> {
    let identity = SoftwareIdentity::generate(&mut SeededRandom::new(seed)).expect("it is good");
    let mut all: Vec<Arc<dyn DiscoveryProtocol>> = Vec::new();
    if let Some(service) = service {
        let services: Vec<Arc<dyn DeliveryService>> = vec![Arc::new(service.clone())];
        let short = ShortLink::new(Arc::new(identity), services);
        all.push(Arc::new(short.with_patience(Duration::from_secs(1))));
    }
    all.push(Arc::new(Link));
    all
}

pub(crate) fn advertisement(seed: u64) -> Advertisement {
    let random = &mut SeededRandom::new(seed);
    let (mut bytes, mut drawn) = ([0; 32], vec![0; 300]);
    random.fill(&mut bytes);
    random.fill(&mut drawn);
    let id = ProtocolId::parse("/example/init/1").expect("it is good");
    Advertisement {
        bundles: BundleSet::new(vec![(id, drawn.into())]).expect("it is good"),
        expires_at: NOW.after(Duration::from_secs(3600)),
        generation: 1,
        state: None,
        now: NOW,
        seed: bytes,
    }
}
