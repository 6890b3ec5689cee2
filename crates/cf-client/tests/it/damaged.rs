//! A store that is not what was written: a typed error or a client, never a panic.

use std::time::Duration;

use bytes::Bytes;
use cf_core::{Batch, ErrorKind, Scan, Store};

use crate::world::{World, accept};

/// The client's own namespaces; those of components are the components' to test.
const NAMESPACES: [&[u8]; 10] = [
    b"meta",
    b"#conversations",
    b"offers",
    b"#outbox",
    b"invites",
    b"candidates",
    b"#parked",
    b"requests",
    b"#events",
    b"cursors",
];

/// What may have become of an entry's bytes.
fn damages(value: &Bytes) -> Vec<Bytes> {
    let mut damages = vec![Bytes::new(), value.slice(..value.len() / 2)];
    damages.push([&value[..], &[0]].concat().into());
    for at in 0..value.len().min(200) {
        for len in [1, 8] {
            let mut bytes = value.to_vec();
            let end = bytes.len().min(at + len);
            bytes[at..end].fill(0xff);
            damages.push(bytes.into());
        }
    }
    damages
}

#[test]
fn a_damaged_store_gives_a_typed_error() {
    let mut world = World::new(41);
    let (saro, raya) = (world.add("Saro", |_| {}), world.add("Raya", |_| {}));
    let oscar = world.add("Oscar", |_| {});
    let bundles = world.bundles(raya);
    for node in [saro, oscar] {
        let connected = world.input(node, |driver, now| driver.connect(&bundles, None, now));
        let talk = connected.expect("no crash").expect("a good bundle");
        world.send(node, talk, "may we talk?");
        world.run(2);
    }
    accept(&mut world, raya).expect("she can accept");
    world.run(3);
    let (mut refused, mut taken, mut kinds) = (0, 0, 0);
    for node in [saro, raya] {
        for namespace in NAMESPACES {
            let stored = &world.nodes[node].store;
            let entries = stored.scan(namespace, &Scan::prefix("")).unwrap();
            // One is as good as another.
            let Some((key, value)) = entries.into_iter().next_back() else {
                continue;
            };
            kinds += 1;
            let keys = damages(&key).into_iter().filter(|key| key.len() == 8);
            let moved = keys.map(|key| (key, value.clone()));
            let changed = damages(&value)
                .into_iter()
                .map(|value| (key.clone(), value));
            for (key, value) in moved.chain(changed) {
                let store = world.nodes[node].store.snapshot();
                let mut batch = Batch::default();
                batch.put(namespace.to_vec(), key, value);
                store.commit(&batch).unwrap();
                match world.restored(node, store) {
                    Ok(mut driver) => {
                        driver.handle_time(world.now.after(Duration::from_secs(60)));
                        taken += 1;
                    }
                    Err(error) => {
                        let kind = error.kind();
                        let is_told = matches!(kind, ErrorKind::Other | ErrorKind::Unsupported);
                        assert!(is_told, "{kind:?}: {error}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(kinds > 10, "only {kinds} kinds of entries");
    assert!(refused > 100 && taken > 100, "{refused} and {taken}");
}
