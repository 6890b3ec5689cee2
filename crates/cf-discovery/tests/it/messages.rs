//! What somebody is told who was given something that is of no use: a sentence of its
//! own for each reason, whatever the discovery.

use std::sync::Arc;
use std::time::Duration;

use cf_core::{
    Advertisement, BundleSet, DeliveryService, DiscoveryProtocol, ErrorKind, Identity, Timestamp,
    Withdrawal,
};
use cf_discovery::{Directory, Link, ShortLink};
use cf_ds::MemoryService;
use cf_identity::SoftwareIdentity;
use cf_testkit::SeededRandom;

use crate::id;

const NOW: Timestamp = Timestamp(1_765_000_000_000);

#[tokio::test]
async fn each_reason_has_its_own_sentence() {
    use ErrorKind::{Malformed, Rejected, Unavailable, Unsupported};
    let service = MemoryService::new("town").unwrap();
    let services: Vec<Arc<dyn DeliveryService>> = vec![Arc::new(service)];
    let identity = SoftwareIdentity::generate(&mut SeededRandom::new(1)).unwrap();
    let identity: Arc<dyn Identity> = Arc::new(identity);
    let patience = Duration::from_millis(500);
    let short = ShortLink::new(identity.clone(), services.clone()).with_patience(patience);
    let directory = Directory::new(identity, services).with_patience(patience);
    let directory = directory.named("raya").unwrap();
    // Discovery; a text that was typed wrongly, is cut, is newer, and their sentences.
    let link: (&dyn DiscoveryProtocol, _, _) = (&Link, "cfintro_2_AAAA", "");
    let short: (&dyn DiscoveryProtocol, _, _) = (&short, "cfshort_2_AAAA", "nothing lies");
    let named: (&dyn DiscoveryProtocol, _, _) = (&directory, "cfdir_2_raya@x:", "nobody is called");
    for (number, (discovery, newer, gone)) in [link, short, named].into_iter().enumerate() {
        let bundle = (id("/example/init/1"), "a bundle of Raya".into());
        let advertisement = Advertisement {
            bundles: BundleSet::new(vec![bundle]).unwrap(),
            expires_at: NOW.after(Duration::from_secs(60)),
            generation: 1,
            state: None,
            now: NOW,
            seed: [number as u8; 32],
        };
        let advertised = discovery.advertise(advertisement).await.unwrap();
        let query = advertised.query;
        let late = NOW.after(Duration::from_secs(60));
        // A letter in the middle; where a name has no checksum, that is another name.
        let mut typed = query.clone().into_bytes();
        let at = if newer.starts_with("cfdir") { 9 } else { 30 };
        typed[at] = if typed[at] == b'x' { b'y' } else { b'x' };
        let typed = String::from_utf8(typed).unwrap();
        let (typed_kind, typed_says) = match newer.starts_with("cfdir") {
            true => (Unavailable, gone),
            false => (Malformed, "changed on the way"),
        };
        let cut = &query[..query.len().min(if at == 9 { 12 } else { 40 })];
        let cut_says = if at == 9 {
            "which directory"
        } else {
            "cut off"
        };
        let invite = "\u{1}\u{2} an invite's bytes";
        let mut said = Vec::new();
        for (text, now, kind, says) in [
            (&*query, late, Rejected, "expired"),
            (&typed, NOW, typed_kind, typed_says),
            (cut, NOW, Malformed, cut_says),
            (newer, NOW, Unsupported, "version 2"),
            ("https://example.org/raya", NOW, Malformed, "this is no"),
            (invite, NOW, Malformed, "this is no"),
        ] {
            let error = discovery.resolve(text, now).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{text}: {error}");
            assert!(error.to_string().contains(says), "{text}: {error}");
            said.push(error.to_string());
        }
        if let Some(state) = advertised.state {
            let withdrawal = Withdrawal {
                state,
                generation: 2,
                now: NOW,
                seed: [9; 32],
            };
            discovery.withdraw(withdrawal).await.unwrap();
            let error = discovery.resolve(&query, NOW).await.unwrap_err();
            assert_eq!(error.kind(), Rejected);
            assert!(error.to_string().contains("revoked"), "{error}");
            said.push(error.to_string());
        }
        said.remove(5);
        let len = said.len();
        said.sort();
        said.dedup();
        assert_eq!(said.len(), len, "two reasons share a sentence: {said:?}");
    }
}
