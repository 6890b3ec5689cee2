use std::time::Duration;

use cf_core::{Advertisement, BundleSet, DiscoveryProtocol, ErrorKind, Timestamp};
use cf_discovery::StaticTable;

use crate::id;

const NOW: Timestamp = Timestamp(1_765_000_000_000);

fn bundles(bundle: &'static str) -> BundleSet {
    BundleSet::new(vec![(id("/example/init/1"), bundle.into())]).unwrap()
}

fn advertisement(bundle: &'static str) -> Advertisement {
    Advertisement {
        bundles: bundles(bundle),
        expires_at: NOW.after(Duration::from_secs(60)),
        generation: 1,
        state: None,
        now: NOW,
        seed: [0; 32],
    }
}

#[test]
fn clients_of_one_table_find_each_other() {
    let table = StaticTable::new();
    let (saro, raya) = (table.named("saro").unwrap(), table.named("raya").unwrap());
    let advertise =
        |of: &StaticTable, bundle| pollster::block_on(of.advertise(advertisement(bundle))).unwrap();
    assert_eq!(advertise(&saro, "of Saro").query, "static:saro");
    assert_eq!(advertise(&raya, "of Raya").query, "static:raya");
    let found = |query| pollster::block_on(table.resolve(query, NOW));
    assert_eq!(found("static:raya").unwrap(), [bundles("of Raya")]);
    assert_eq!(found("static:Raya").unwrap(), []);
    table.remove("raya");
    assert_eq!(found("static:raya").unwrap(), []);
    let error = pollster::block_on(table.advertise(advertisement("of nobody")));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn names_are_of_one_form() {
    let table = StaticTable::new();
    let long = "x".repeat(65);
    for name in ["", " raya", "raya ", "r/y", "r:y", "räya", "raya\0", &long] {
        let query = format!("static:{name}");
        assert!(!table.recognizes(&query), "{name:?}");
        let found = pollster::block_on(table.resolve(&query, NOW));
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(table.named(name).unwrap_err().kind(), ErrorKind::Malformed);
    }
    assert!(table.recognizes("static:Raya.2_x-y"));
}

#[test]
fn a_table_is_bounded() {
    let table = StaticTable::new();
    for number in 0..StaticTable::MAX_NAMES {
        let name = number.to_string();
        table.insert(&name, bundles("b"), NOW).unwrap();
    }
    let error = table.insert("more", bundles("b"), NOW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    table.insert("0", bundles("another"), NOW).unwrap();
}
