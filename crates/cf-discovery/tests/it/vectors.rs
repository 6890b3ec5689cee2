//! docs/spec/vectors/discovery-link-1.json, made by the script beside it.

use bytes::Bytes;
use cf_core::BundleSet;
use cf_discovery::Link;
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::{advertise, id, resolve};

fn vectors() -> Value {
    serde_json::from_str(include_str!(
        "../../../../docs/spec/vectors/discovery-link-1.json"
    ))
    .unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn each<'a>(vectors: &'a Value, of: &str) -> impl Iterator<Item = &'a Value> {
    let list = vectors[of].as_array().unwrap();
    assert!(!list.is_empty());
    list.iter()
}

#[test]
fn links() {
    let vectors = vectors();
    assert_eq!(vectors["protocol"], Link::ID.as_str());
    for vector in each(&vectors, "links") {
        let bundles = each(vector, "bundles").map(|bundle| {
            let bytes = HEXLOWER.decode(text(&bundle["bundle"]).as_bytes()).unwrap();
            (id(text(&bundle["protocol"])), Bytes::from(bytes))
        });
        let set = BundleSet::new(bundles.collect()).unwrap();
        let expires_at = text(&vector["expires_at"]).parse().unwrap();
        let link = text(&vector["link"]);
        assert_eq!(advertise(&set, expires_at, 0).unwrap(), link);
        assert_eq!(resolve(link, expires_at - 1), Ok(set));
    }
}

#[test]
fn refused_texts() {
    for vector in each(&vectors(), "refused") {
        let now = text(&vector["now"]).parse().unwrap();
        let (kind, error) = resolve(text(&vector["text"]), now).unwrap_err();
        let name = format!("{error:?}");
        assert!(name.starts_with(text(&vector["error"])), "{name}: {vector}");
        assert_eq!(format!("{kind:?}"), text(&vector["kind"]));
    }
}
