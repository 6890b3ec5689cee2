use cf_core::{Identity, ParticipantId, Secret, Timestamp};
use cf_identity::{SafetyNumber, SoftwareIdentity};
use data_encoding::HEXLOWER;
use serde_json::Value;

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

#[test]
fn every_derivation_matches_the_vectors() {
    let text = include_str!("../../../../docs/spec/vectors/identity.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let identity = SoftwareIdentity::from_seed(Secret::new(hex(&vectors["seed"]))).unwrap();
    let raya = SoftwareIdentity::from_seed(Secret::new(hex(&vectors["peer_seed"]))).unwrap();
    assert_eq!(identity.scheme().as_str(), vectors["scheme"]);
    assert_eq!(identity.id().as_bytes(), hex(&vectors["id"]));

    let signed = &vectors["signature"];
    let label = signed["label"].as_str().unwrap();
    let signature = identity.sign(label, &hex(&signed["bytes"])).unwrap();
    assert_eq!(signature, hex(&signed["signature"]));

    let keys = vectors["agreement_keys"].as_array().unwrap();
    assert_eq!(keys.len(), 3);
    for expected in keys {
        let now = Timestamp(expected["now"].as_u64().unwrap());
        let key = identity.agreement_key(now).unwrap();
        assert_eq!(key.public, hex(&expected["public"])[..]);
        assert_eq!(key.not_before.0, expected["not_before"]);
        assert_eq!(key.not_after.0, expected["not_after"]);
        assert_eq!(key.certificate, hex(&expected["certificate"]));
        raya.verify_agreement_key(identity.id(), &key, now).unwrap();

        let peer = raya.agreement_key(now).unwrap().public;
        assert_eq!(peer, hex(&expected["peer"])[..]);
        let shared = identity.agree(&key.public, &peer).unwrap();
        assert_eq!(shared.expose(), hex(&expected["shared"]));
        let other = raya.agree(&peer, &key.public).unwrap();
        assert_eq!(shared.expose(), other.expose());
    }

    for expected in vectors["safety_numbers"].as_array().unwrap() {
        let [one, other] =
            ["one", "other"].map(|side| ParticipantId::new(hex(&expected[side])).unwrap());
        let number = SafetyNumber::of(&one, &other);
        assert_eq!(number.digits(), expected["digits"]);
    }
}
