//! Every step of the vectors; `tests/it/vectors.rs` checks the whole.

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::*;
use crate::inbox::bundle::Bundle;

#[test]
fn every_step_matches_the_vectors() {
    let vectors = include_str!("../../../../../docs/spec/vectors/init-inbox-1.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    assert_eq!(vectors["protocol"], INBOX.as_str());
    for case in vectors["cases"].as_array().unwrap() {
        let hex = |value: &Value| HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap();
        let field = |name: &str| hex(&case[name]);
        let secret = |name: &str| Secret::new(field(name));
        let bundle = Bundle::decode(&field("bundle").into()).unwrap();
        let (keys, body) = (&case["keys"], field("body"));
        let (head, rest) = body.split_at(field("head").len() + 16);
        let (sealed_identity, sealed_invite) = rest.split_at(400);

        let tag = RoutingTag::from_slice(&hex(&keys["tag"])).unwrap();
        let key = head_key(tag, hex(&keys["token"]).first_chunk().unwrap());
        assert_eq!(key.as_bytes(), &field("head_key_nonce")[..]);
        assert_eq!(*key.open(head, &[]).unwrap(), field("head"));

        let unidentified = Unidentified::new(
            &bundle.signed,
            &bundle.signature,
            &field("head"),
            secret("dh1"),
            secret("dh2"),
            secret("ss"),
        );
        assert_eq!(unidentified.t0(), &field("t0")[..]);
        let key = unidentified.identity_key();
        assert_eq!(key.as_bytes(), &field("identity_key_nonce")[..]);
        let identity = key.open(sealed_identity, unidentified.t0()).unwrap();
        assert_eq!(*identity, field("identity"));

        let dh4 = Some(secret("dh4")).filter(|dh4| !dh4.expose().is_empty());
        let identified =
            unidentified.identify(sealed_identity, &identity, &secret("dh3"), dh4.as_ref());
        assert_eq!(identified.t1(), &field("t1")[..]);
        assert_eq!(identified.secret[..], field("secret"));
        let key = identified.invite_key();
        assert_eq!(key.as_bytes(), &field("invite_key_nonce")[..]);
        assert!(key.open(sealed_invite, identified.t1()).is_some());
        assert_eq!(
            identified.precedence(sealed_invite),
            field("precedence")[..]
        );
    }
}
