//! Queries of a directory as text, and what lies at the place of a name: raw, sealed
//! by whoever knows the name, and signed by its owner too.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cf_core::padding::padded_len;
use cf_core::{DeliveryService, DiscoveryProtocol, Identity};
use cf_discovery::Directory;
use cf_identity::SoftwareIdentity;
use cf_testkit::SeededRandom;
use prost::Message;

use crate::canned::Canned;
use crate::scene::{NOW, block_on, derive, seal};
use crate::script::Script;

#[derive(Clone, PartialEq, Message)]
struct Claim {
    #[prost(bytes = "bytes", tag = "1")]
    signed: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    signature: Bytes,
}

pub(super) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let service = Canned::new("fuzz", 1 << 20);
    let services: Vec<Arc<dyn DeliveryService>> = vec![Arc::new(service.clone())];
    let directory = Directory::new(identity().clone(), services);
    let text = match script.byte() % 4 {
        0 => String::from_utf8_lossy(&script.rest()).into_owned(),
        1 => format!("cfdir_1_{}", String::from_utf8_lossy(&script.rest())),
        kind => {
            while !script.is_over() {
                let part = script.part();
                service.put(match kind {
                    2 => sealed(&part),
                    _ => sealed(&signed(part)),
                });
                service.put(script.part());
            }
            "cfdir_1_raya@canned:fuzz".to_owned()
        }
    };
    if let Ok(found) = block_on(directory.resolve(&text, NOW)) {
        assert!(directory.recognizes(&text));
        assert!((1..=Directory::MAX_CLAIMS).contains(&found.len()));
    }
}

fn identity() -> &'static Arc<dyn Identity> {
    static IDENTITY: OnceLock<Arc<dyn Identity>> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let identity = SoftwareIdentity::generate(&mut SeededRandom::new(1));
        Arc::new(identity.expect("a seed gives an identity"))
    })
}

fn signed(signed: Bytes) -> Bytes {
    let label = "/cf/discovery/directory/1 claim";
    let signature = identity().sign(label, &signed).expect("a software key");
    Claim { signed, signature }.encode_to_vec().into()
}

fn sealed(claim: &[u8]) -> Bytes {
    let salt = [9; 32];
    let secret: [u8; 16] = derive(None, b"raya", b"/cf/discovery/directory/1 secret");
    let address: [u8; 32] = derive(None, &secret, b"/cf/discovery/directory/1 address");
    let key = derive(Some(&salt), &secret, b"/cf/discovery/directory/1 seal");
    let len = u32::try_from(claim.len()).expect("short");
    let mut padded = [&len.to_be_bytes()[..], claim].concat();
    padded.resize(padded_len(padded.len()), 0);
    [&salt[..], &seal(&key, &padded, &address)].concat().into()
}
