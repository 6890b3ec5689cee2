//! `/cf/discovery/link/1`: its laws, hostile text, and the vectors of its
//! specification.
#![allow(clippy::unwrap_used)]

mod conformance;
mod directory;
mod hostile;
mod link;
mod messages;
mod short_link;
mod static_table;
mod vectors;

/// The generated messages, for contents that the crate would not write.
#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "../../src/generated/cf_discovery_link.rs"]
mod wire;

use std::error::Error as _;

use bytes::Bytes;
use cf_core::{Advertisement, BundleSet, DiscoveryProtocol, ErrorKind, ProtocolId, Timestamp};
use cf_discovery::{Error, Link};
use proptest::prelude::*;

fn advertise(bundles: &BundleSet, expires_at: u64, now: u64) -> Result<String, cf_core::Error> {
    let advertised = pollster::block_on(Link.advertise(Advertisement {
        bundles: bundles.clone(),
        expires_at: Timestamp(expires_at),
        generation: 1,
        state: None,
        now: Timestamp(now),
        seed: [0; 32],
    }))?;
    assert!(advertised.state.is_none() && advertised.refresh_at.is_none());
    Ok(advertised.query)
}

fn resolve(text: &str, now: u64) -> Result<BundleSet, (ErrorKind, Error)> {
    match pollster::block_on(Link.resolve(text, Timestamp(now))) {
        Ok(mut sets) => {
            assert_eq!(sets.len(), 1);
            Ok(sets.remove(0))
        }
        Err(error) => {
            let own = error.source().unwrap().downcast_ref::<Error>().unwrap();
            Err((error.kind(), own.clone()))
        }
    }
}

/// What is wrong with a text, at the beginning of time.
fn wrong(text: &str) -> Error {
    resolve(text, 0).unwrap_err().1
}

fn id(text: &str) -> ProtocolId {
    ProtocolId::parse(text).unwrap()
}

fn bundles() -> impl Strategy<Value = BundleSet> {
    let bundle = prop::collection::vec(any::<u8>(), 1..200).prop_map(Bytes::from);
    prop::collection::btree_map("/[a-z]{1,8}/[0-9]{1,3}", bundle, 1..5)
        .prop_map(|set| {
            set.into_iter()
                .map(|(p, bundle)| (id(&p), bundle))
                .collect()
        })
        .prop_map(|set| BundleSet::new(set).unwrap())
}
