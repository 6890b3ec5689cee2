use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cf_core::*;
use cf_testkit::DiscoveryUnderTest;
use cf_testkit::discovery::*;
use parking_lot::Mutex;

use crate::assert_broken;

cf_testkit::discovery_tests!(a_value, || Toy::new(None));
cf_testkit::discovery_tests!(boxed, || Box::new(Toy::new(None))
    as Box<dyn DiscoveryProtocol>);
cf_testkit::discovery_tests!(shared, || Arc::new(Toy::new(None))
    as Arc<dyn DiscoveryProtocol>);
cf_testkit::discovery_tests!(with_everything, || async { under_test(Toy::new(None)) });

fn under_test(toy: Toy) -> DiscoveryUnderTest {
    let contacts = toy.contacts.clone();
    let toy = Arc::new(toy);
    DiscoveryUnderTest::new(toy.clone(), toy)
        .hostile(["toy:hostile".to_owned()])
        .contacts(Arc::new(move || contacts.load(Ordering::SeqCst)))
}

macro_rules! caught {
    ($($name:ident: $fault:ident by $law:ident in $check:ident;)+) => {$(
        #[tokio::test]
        async fn $name() {
            let toy = under_test(Toy::new(Some(Fault::$fault)));
            assert_broken($check(toy).await, law::$law);
        }
    )+};
}

caught! {
    losing_the_last_byte: LosesTheLastByte by SURVIVES in a_bundle_set_survives_byte_for_byte;
    knowing_no_query_of_its_own: RecognizesNothing by SURVIVES
        in a_bundle_set_survives_byte_for_byte;
    reading_what_it_carries: ReadsWhatItCarries by OPAQUE in any_bytes_are_carried;
    finding_what_has_expired: FindsWhatHasExpired by EXPIRES in what_has_expired_is_not_found;
    keeping_old_sets: KeepsOldSets by REFRESH
        in a_refresh_keeps_the_query_and_shows_the_newest_set;
    changing_its_query: ChangesItsQuery by REFRESH
        in a_refresh_keeps_the_query_and_shows_the_newest_set;
    asking_for_anything: AsksForAnything by UNRECOGNIZED
        in a_query_that_is_not_recognized_contacts_nobody;
    answering_without_bound: AnswersWithoutBound by HOSTILE
        in a_hostile_answer_is_bounded_and_gives_a_typed_error;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    LosesTheLastByte,
    RecognizesNothing,
    ReadsWhatItCarries,
    FindsWhatHasExpired,
    KeepsOldSets,
    ChangesItsQuery,
    AsksForAnything,
    AnswersWithoutBound,
}

/// A board with names on it, each with what was advertised last.
struct Toy {
    id: ProtocolId,
    fault: Option<Fault>,
    board: Mutex<HashMap<String, Vec<(BundleSet, Timestamp)>>>,
    contacts: Arc<AtomicU64>,
}

const SCHEME: &str = "toy:";

impl Toy {
    fn new(fault: Option<Fault>) -> Self {
        Self {
            id: ProtocolId::from_static("/toy/discovery/1"),
            fault,
            board: Mutex::default(),
            contacts: Arc::default(),
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn find(&self, query: &str, now: Timestamp) -> Result<Vec<BundleSet>> {
        if !query.starts_with(SCHEME) && !self.is(Fault::AsksForAnything) {
            return Err(Error::malformed("not a query"));
        }
        self.contacts.fetch_add(1, Ordering::SeqCst);
        let board = self.board.lock();
        if query == "toy:hostile" {
            let sets = board.values().flatten().map(|(set, _)| set.clone());
            return match self.is(Fault::AnswersWithoutBound) {
                true => Ok(sets.cycle().take(1000).collect()),
                false => Err(Error::rejected("too many claims")),
            };
        }
        let found = board
            .get(query)
            .ok_or(Error::rejected("nobody has this name"))?;
        let live = |(_, until): &&(BundleSet, Timestamp)| {
            *until > now || self.is(Fault::FindsWhatHasExpired)
        };
        Ok(found
            .iter()
            .filter(live)
            .map(|(set, _)| set.clone())
            .collect())
    }

    /// What the board makes of a set.
    fn carried(&self, set: BundleSet) -> Result<BundleSet> {
        let carry = |bundle: &Bytes| match self.fault {
            Some(Fault::LosesTheLastByte) => bundle.slice(..bundle.len() - 1),
            Some(Fault::ReadsWhatItCarries) => String::from_utf8_lossy(bundle)
                .trim_start()
                .to_owned()
                .into(),
            _ => bundle.clone(),
        };
        BundleSet::new(
            set.iter()
                .map(|(id, bundle)| (id.clone(), carry(bundle)))
                .collect(),
        )
    }
}

impl DiscoveryProtocol for Toy {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn recognizes(&self, query: &str) -> bool {
        query.starts_with(SCHEME) && !self.is(Fault::RecognizesNothing)
    }

    fn advertise(&self, advertisement: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        Box::pin(async move {
            let Advertisement {
                bundles,
                expires_at,
                state,
                seed,
                ..
            } = advertisement;
            let known = state.filter(|_| !self.is(Fault::ChangesItsQuery));
            let name = match known {
                Some(state) => String::from_utf8_lossy(state.expose()).into_owned(),
                None => {
                    SCHEME.to_owned()
                        + &seed[..8]
                            .iter()
                            .map(|b| format!("{b:02x}"))
                            .collect::<String>()
                }
            };
            let set = self.carried(bundles)?;
            let mut board = self.board.lock();
            let sets = board.entry(name.clone()).or_default();
            if !self.is(Fault::KeepsOldSets) {
                sets.clear();
            }
            sets.push((set, expires_at));
            let state = Some(Secret::from(name.as_bytes()));
            Ok(Advertised {
                query: name,
                state,
                refresh_at: Some(expires_at),
            })
        })
    }

    fn resolve<'a>(
        &'a self,
        query: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
        Box::pin(async move { self.find(query, now) })
    }
}
