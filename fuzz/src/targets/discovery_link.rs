//! Links as text, and their content behind length and checksum: a link that is
//! read is the one that its bundles make.

use cf_core::{Advertisement, DiscoveryProtocol, Timestamp};
use cf_discovery::Link;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::scene::block_on;

pub(super) fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 2 {
        0 => check(&String::from_utf8_lossy(rest), None),
        _ => check(&linked(rest), Some(rest)),
    }
}

/// The link around a content.
fn linked(content: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(b"/cf/discovery/link/1 checksum\0")
        .chain_update(content)
        .finalize();
    let len = u32::try_from(content.len()).expect("short").to_be_bytes();
    let packed = [&len[..], &hash[..8], content].concat();
    format!("{}{}", Link::PREFIX, BASE64URL_NOPAD.encode(&packed))
}

fn check(text: &str, content: Option<&[u8]>) {
    let Ok(found) = block_on(Link.resolve(text, Timestamp(0))) else {
        return;
    };
    assert!(Link.recognizes(text));
    let [bundles] = &found[..] else {
        panic!("a link is one set");
    };
    // The time is the last field, with number 2.
    let Some(content) = content else { return };
    let ends_at = |at: &u64| {
        let mut field = vec![0x10];
        prost::encoding::encode_varint(*at, &mut field);
        content.ends_with(&field)
    };
    let tail = content.len().saturating_sub(10);
    let candidates = (tail..content.len())
        .filter_map(|from| prost::encoding::decode_varint(&mut &content[from..]).ok());
    let expires_at = candidates.filter(ends_at).map(Timestamp);
    let links = expires_at.filter_map(|expires_at| {
        let advertisement = Advertisement {
            bundles: bundles.clone(),
            expires_at,
            generation: 1,
            state: None,
            now: Timestamp(0),
            seed: [0; 32],
        };
        block_on(Link.advertise(advertisement)).ok()
    });
    let mut links = links.map(|advertised| advertised.query);
    assert!(links.any(|link| link == text), "a content has one link");
}
