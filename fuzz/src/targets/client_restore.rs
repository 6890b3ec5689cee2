//! A client's store that was damaged: a typed error, or a client that goes on
//! without a panic.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{Batch, ErrorKind, RecordChange, Store};
use cf_store::MemoryStore;

use crate::scene::NOW;
use crate::script::Script;
use crate::world::World;

pub(super) fn run(data: &[u8]) {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(World::new);
    let mut script = Script::new(data);
    let store = world.raya.store.snapshot();
    damage(&store, &world.raya.batches, &mut script);
    let mut raya = match world.raya.on(store).start(NOW) {
        Ok(raya) => raya,
        Err(error) => {
            let is_told = matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Other);
            return assert!(is_told, "{error:?}");
        }
    };
    for (place, payload) in &world.waiting {
        raya.deliver(place, payload.clone());
    }
    let _ = raya.driver.requests();
    let _ = cf_client::events_after(&raya.home.store, 0, 1000);
    for later in [Duration::from_secs(5), Duration::from_secs(40 * 24 * 3600)] {
        let now = NOW.after(later);
        raya.driver.handle_time(now);
        raya.commit(now);
    }
    let _ = raya.driver.close(world.conversation, NOW);
    raya.commit(NOW);
}

/// Changes entries that are still there.
fn damage(store: &MemoryStore, batches: &[Batch], script: &mut Script<'_>) {
    let puts: Vec<(&Bytes, &Bytes)> = (batches.iter().flat_map(Batch::changes))
        .filter_map(|(namespace, change)| match change {
            RecordChange::Put { key, .. } => Some((namespace, key)),
            RecordChange::Delete { .. } => None,
        })
        .filter(|(namespace, key)| matches!(store.get(namespace, key), Ok(Some(_))))
        .collect();
    for _ in 0..6 {
        if script.is_over() {
            return;
        }
        let (namespace, key) = puts[script.below(puts.len())];
        let Ok(Some(value)) = store.get(namespace, key) else {
            continue;
        };
        let mut batch = Batch::default();
        match script.byte() % 4 {
            0 => batch.delete(namespace.clone(), key.clone()),
            1 => batch.put(namespace.clone(), script.mutated(key), value),
            _ => batch.put(namespace.clone(), key.clone(), script.mutated(&value)),
        }
        // The store refuses keys that its namespace can't have.
        let _ = store.commit(&batch);
    }
}
