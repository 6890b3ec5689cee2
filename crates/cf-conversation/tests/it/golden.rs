//! Every later build opens the records that an earlier one stored.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_conversation::{HealingSettings, PRIVATE_2, Ratchet, Reliable, private};
use cf_core::{ConversationProtocol, Incoming, Input, RoutingTag};
use cf_testkit::RecordMap;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::pair::{Faults, Pair, point};

/// The protocol of a golden file, its path, and the kinds of records in it.
struct Golden {
    protocol: Arc<dyn ConversationProtocol>,
    path: &'static str,
    kinds: &'static [&'static str],
}

fn private_1() -> Golden {
    Golden {
        protocol: private(),
        path: concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/private-1-records-1.json"
        ),
        kinds: &[
            "0068", "006d", "0075", "0072", "0168", "0163", "016f", "0173",
        ],
    }
}

/// With an exchange that Raya has answered.
fn private_2() -> Golden {
    let settings = HealingSettings {
        interval: Duration::ZERO,
        frames: 0,
    };
    let ratchet = Arc::new(Ratchet::with_healing(settings));
    Golden {
        protocol: Arc::new(Reliable::new(PRIVATE_2, ratchet)),
        path: concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/private-2-records-1.json"
        ),
        kinds: &[
            "0068", "006d", "0075", "0072", "0168", "0163", "016f", "0173", "016b",
        ],
    }
}

/// Raya's records with something of every kind: a frame in flight, keys of
/// frames passed over, contents held back, contents missing.
fn pair(golden: &Golden) -> (Pair, Vec<(RoutingTag, Bytes)>) {
    let mut pair = Pair::new(&golden.protocol, Faults::NONE, 99);
    pair.run_for(Duration::from_secs(10));
    for number in 0..5 {
        let text = number.to_string();
        pair.sides[0].send(&text, text.clone(), pair.now).unwrap();
    }
    let payloads: Vec<_> = std::mem::take(&mut pair.sides[0].outbox)
        .into_iter()
        .map(|publish| (publish.frame.tag, publish.frame.body))
        .collect();
    pair.faults.loss = 100;
    deliver(&mut pair, &payloads[2]);
    pair.run_for(Duration::from_secs(31));
    deliver(&mut pair, &payloads[4]);
    pair.send(1, "from Raya", "from Raya");
    (pair, payloads)
}

fn deliver(pair: &mut Pair, (tag, body): &(RoutingTag, Bytes)) {
    let incoming = Incoming {
        point: point("Raya's point"),
        cursor: None,
        tag: *tag,
        body: body.clone(),
    };
    pair.deliver(1, incoming);
}

/// Writes the golden file: only for a new version of the records, with
/// `CF_WRITE_GOLDEN=1`.
fn write(golden: &Golden) {
    let (pair, payloads) = pair(golden);
    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    let records = pair.sides[1].records.0.iter();
    let json = json!({
        "now": pair.now.0,
        "records": records.map(|(key, value)| [hex(key), hex(value)]).collect::<Vec<_>>(),
        "payloads": payloads.iter().map(|(tag, body)| [hex(&tag.0), hex(body)]).collect::<Vec<_>>(),
    });
    let json = serde_json::to_string_pretty(&json).unwrap() + "\n";
    std::fs::write(golden.path, json).unwrap();
}

#[test]
fn stored_records_of_private_1_go_on() {
    go_on(&private_1());
}

#[test]
fn stored_records_of_private_2_go_on() {
    let mut pair = go_on(&private_2());
    // The answer is still said: with it a short frame takes 1,152 bytes.
    pair.sides[1].outbox.clear();
    pair.sides[1].send("short", "short", pair.now).unwrap();
    assert_eq!(pair.sides[1].outbox[0].frame.body.len(), 1_152 + 84);
}

fn go_on(golden: &Golden) -> Pair {
    if std::env::var_os("CF_WRITE_GOLDEN").is_some() {
        write(golden);
    }
    let Golden {
        protocol,
        path,
        kinds,
    } = golden;
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let hex = |value: &Value| -> Bytes {
        HEXLOWER
            .decode(value.as_str().unwrap().as_bytes())
            .unwrap()
            .into()
    };
    let pairs = |name: &str| -> Vec<(Bytes, Bytes)> {
        let list = golden[name].as_array().unwrap().iter();
        list.map(|pair| (hex(&pair[0]), hex(&pair[1]))).collect()
    };
    let mut pair = Pair::new(protocol, Faults::NONE, 7);
    pair.now = cf_core::Timestamp(golden["now"].as_u64().unwrap());
    pair.faults.loss = 100;
    pair.sides[1].records = RecordMap(pairs("records").into_iter().collect());
    for kind in *kinds {
        let prefix = HEXLOWER.decode(kind.as_bytes()).unwrap();
        let mut keys = pair.sides[1].records.0.keys();
        assert!(keys.any(|key| key.starts_with(&prefix)), "no record {kind}");
    }
    pair.sides[1].restart(pair.now);
    for (tag, body) in pairs("payloads") {
        deliver(&mut pair, &(RoutingTag::from_slice(&tag).unwrap(), body));
    }
    // The third was told before, as was that the first two are missing.
    assert_eq!(pair.sides[1].contents(), ["0", "1", "3", "4"]);
    let soon = pair.now.after(Duration::from_secs(3));
    pair.sides[1].outbox.clear();
    pair.sides[1].handle(Input::Time, soon).unwrap();
    let mut resent = pair.sides[1]
        .outbox
        .iter()
        .filter_map(|publish| publish.content.as_ref());
    assert_eq!(resent.next().unwrap().as_bytes(), b"from Raya");
    drop(resent);
    pair
}
