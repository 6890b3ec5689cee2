//! Short links as text, and what lies at the place of one: raw, sealed by whoever
//! has the link, and signed by its owner too.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cf_core::padding::padded_len;
use cf_core::{DeliveryService, DiscoveryProtocol, Identity};
use cf_discovery::ShortLink;
use cf_identity::SoftwareIdentity;
use cf_testkit::SeededRandom;
use data_encoding::BASE64URL_NOPAD;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::canned::Canned;
use crate::scene::{NOW, block_on, derive, seal};
use crate::script::Script;

const SECRET: [u8; 16] = [7; 16];

#[derive(Clone, PartialEq, Message)]
struct Publication {
    #[prost(bytes = "bytes", tag = "1")]
    signed: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    signature: Bytes,
}

pub(super) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let service = Canned::new("fuzz", 1 << 20);
    let services: Vec<Arc<dyn DeliveryService>> = vec![Arc::new(service.clone())];
    let discovery = ShortLink::new(identity().clone(), services);
    let text = match script.byte() % 4 {
        0 => String::from_utf8_lossy(&script.rest()).into_owned(),
        1 => text(&String::from_utf8_lossy(&script.rest())),
        kind => {
            while !script.is_over() {
                let part = script.part();
                service.put(match kind {
                    2 => sealed(&part),
                    _ => sealed(&signed(part)),
                });
                service.put(script.part());
            }
            text("canned:fuzz")
        }
    };
    if block_on(discovery.resolve(&text, NOW)).is_ok() {
        assert!(discovery.recognizes(&text));
    }
}

fn identity() -> &'static Arc<dyn Identity> {
    static IDENTITY: OnceLock<Arc<dyn Identity>> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let identity = SoftwareIdentity::generate(&mut SeededRandom::new(1));
        Arc::new(identity.expect("a seed gives an identity"))
    })
}

/// The short link of the owner on a service.
fn text(locator: &str) -> String {
    let owner = Sha256::digest(identity().id().as_bytes());
    let mut packed = [&SECRET[..], &owner[..16]].concat();
    let checksum = Sha256::new()
        .chain_update(b"/cf/discovery/short-link/1 checksum\0")
        .chain_update(&packed)
        .chain_update(locator)
        .finalize();
    packed.extend_from_slice(&checksum[..4]);
    let packed = BASE64URL_NOPAD.encode(&packed);
    format!("{}{packed}.{locator}", ShortLink::PREFIX)
}

fn signed(content: Bytes) -> Bytes {
    let label = "/cf/discovery/short-link/1 publication";
    let signature = identity().sign(label, &content).expect("a software key");
    let publication = Publication {
        signed: content,
        signature,
    };
    publication.encode_to_vec().into()
}

fn sealed(publication: &[u8]) -> Bytes {
    let salt = [9; 32];
    let address: [u8; 32] = derive(None, &SECRET, b"/cf/discovery/short-link/1 address");
    let key = derive(Some(&salt), &SECRET, b"/cf/discovery/short-link/1 seal");
    let len = u32::try_from(publication.len()).expect("short");
    let mut padded = [&len.to_be_bytes()[..], publication].concat();
    padded.resize(padded_len(padded.len()), 0);
    [&salt[..], &seal(&key, &padded, &address)].concat().into()
}
