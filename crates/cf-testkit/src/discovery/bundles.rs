use std::time::Duration;

use bytes::Bytes;
use cf_core::{Advertisement, BundleSet, ErrorKind, ProtocolId, Random};

use super::law::{EXPIRES, OPAQUE, REFRESH, SURVIVES};
use super::{DiscoveryUnderTest, NOW, advertisement};
use crate::law::ensure;
use crate::{Law, SeededRandom, Verdict};

/// Sets of one to four bundles come back as they were, at once and until they
/// expire.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_bundle_set_survives_byte_for_byte(at: DiscoveryUnderTest) -> Verdict {
    let law = &SURVIVES;
    for seed in 0..20 {
        let random = &mut SeededRandom::new(seed);
        let count = 1 + random.below(4);
        let set = bundles(law, random, count as usize, 400)?;
        let advertisement = advertisement(random, set.clone());
        let expires_at = advertisement.expires_at;
        let advertised = at.advertise(law, advertisement).await?;
        let query = law.needs("advertising", advertised)?.query;
        ensure!(
            law,
            at.resolver.recognizes(&query),
            "the query {query:?} is not recognized"
        );
        for now in [NOW, expires_at.before(Duration::from_millis(1))] {
            let found = at.resolve(law, &query, now).await?;
            let found = law.needs("resolving", found)?;
            ensure!(
                law,
                found.contains(&set),
                "the set is not among the {} found",
                found.len()
            );
        }
    }
    Ok(())
}

/// Bundles that hold any bytes, of any length up to what the protocol takes, and
/// ids of every form come back as they were.
///
/// # Errors
/// The violation, if there is one.
pub async fn any_bytes_are_carried(at: DiscoveryUnderTest) -> Verdict {
    let law = &OPAQUE;
    let random = &mut SeededRandom::new(7);
    let every: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let samples = [
        every,
        vec![0; 300].into(),
        vec![0xff; 3].into(),
        "\r\n \t".into(),
    ];
    let mut sets = Vec::new();
    for bundle in samples {
        let id = law.needs(
            "an id",
            ProtocolId::parse("/example/init/18446744073709551616"),
        )?;
        sets.push(law.needs("a set", BundleSet::new(vec![(id, bundle)]))?);
    }
    sets.push(bundles(law, random, BundleSet::MAX_BUNDLES, 60)?);
    sets.push(bundles(law, random, 1, 16 * 1024)?);
    sets.push(bundles(law, random, 1, BundleSet::MAX_BUNDLE_LEN)?);
    for set in sets {
        let len: usize = set.iter().map(|(_, bundle)| bundle.len()).sum();
        match at
            .advertise(law, advertisement(random, set.clone()))
            .await?
        {
            Ok(advertised) => {
                let found = at.resolve(law, &advertised.query, NOW).await?;
                let found = law.needs("resolving", found)?;
                ensure!(
                    law,
                    found.contains(&set),
                    "bundles of {len} bytes came back as others"
                );
            }
            // A text or a picture has a limit; a few hundred bytes always fit.
            Err(error) if error.kind() == ErrorKind::Rejected && len > 2_000 => {}
            Err(error) => {
                return Err(law.broken(format!("bundles of {len} bytes gave {error:?}")));
            }
        }
    }
    Ok(())
}

/// After it expired, an advertisement is refused or found no more.
///
/// # Errors
/// The violation, if there is one.
pub async fn what_has_expired_is_not_found(at: DiscoveryUnderTest) -> Verdict {
    let law = &EXPIRES;
    let random = &mut SeededRandom::new(3);
    let set = bundles(law, random, 1, 100)?;
    let advertisement = advertisement(random, set);
    let later = advertisement.expires_at.after(Duration::from_millis(1));
    let advertised = at.advertise(law, advertisement).await?;
    let query = law.needs("advertising", advertised)?.query;
    match at.resolve(law, &query, later).await? {
        Err(error) if error.kind() == ErrorKind::Rejected => Ok(()),
        Ok(found) if found.is_empty() => Ok(()),
        other => Err(law.broken(format!("a millisecond later, resolving gave {other:?}"))),
    }
}

/// With the state of the time before, the same query shows the newer set only.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_refresh_keeps_the_query_and_shows_the_newest_set(at: DiscoveryUnderTest) -> Verdict {
    let law = &REFRESH;
    let random = &mut SeededRandom::new(5);
    let set = bundles(law, random, 1, 100)?;
    let first = advertisement(random, set);
    let advertised = at.advertise(law, first.clone()).await?;
    let mut last = law.needs("advertising", advertised)?;
    if last.refresh_at.is_none() {
        return law.not_declared("a time to refresh");
    }
    let query = last.query.clone();
    for generation in 2..5 {
        let set = bundles(law, random, 1, 100)?;
        let again = Advertisement {
            generation,
            state: last.state.clone(),
            ..advertisement(random, set.clone())
        };
        let advertised = at.advertise(law, again).await?;
        last = law.needs("advertising again", advertised)?;
        ensure!(
            law,
            last.query == query,
            "{query:?} became {:?}",
            last.query
        );
        let found = law.needs("resolving", at.resolve(law, &query, NOW).await?)?;
        ensure!(
            law,
            found == [set],
            "generation {generation} is not all that is found"
        );
    }
    Ok(())
}

/// A set of `count` bundles of up to `max_len` random bytes.
fn bundles(
    law: &Law,
    random: &mut SeededRandom,
    count: usize,
    max_len: usize,
) -> Verdict<BundleSet> {
    let mut set = Vec::new();
    for number in 0..count {
        let id = format!("/example-{number}/init.x_y/{}", random.below(1000));
        let id = law.needs("an id", ProtocolId::parse(&id))?;
        let mut bundle = vec![0; max_len - random.below(max_len as u64 / 2) as usize];
        random.fill(&mut bundle);
        set.push((id, Bytes::from(bundle)));
    }
    law.needs("a set", BundleSet::new(set))
}
