//! Queries of static/1, and the texts of the contracts themselves.

use cf_core::{BundleSet, DiscoveryProtocol, Locator, ProtocolId};
use cf_discovery::StaticTable;

use crate::scene::{NOW, block_on};

pub(super) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(locator) = Locator::parse(text) {
        assert_eq!(locator.as_str(), text);
        assert!(text.starts_with(locator.scheme()));
    }
    if let Ok(id) = ProtocolId::parse(text) {
        assert_eq!(id.as_str(), text);
        assert!(id.version().bytes().all(|byte| byte.is_ascii_digit()));
    }
    let table = StaticTable::new();
    let init = ProtocolId::from_static("/example/init/1");
    let set = BundleSet::new(vec![(init, "bundle".into())]).expect("a set");
    let inserted = table.insert(text, set.clone(), cf_core::Timestamp::NEVER);
    let query = format!("static:{text}");
    assert_eq!(table.recognizes(&query), inserted.is_ok());
    for query in [text, &query] {
        match block_on(table.resolve(query, NOW)) {
            Ok(found) => assert!(table.recognizes(query) && found.len() <= 1),
            Err(_) => assert!(!table.recognizes(query)),
        }
    }
    if inserted.is_ok() {
        let found = block_on(table.resolve(&query, NOW));
        assert_eq!(found.expect("it is there"), [set]);
    }
}
