use bytes::Bytes;
use cf_core::{BundleSet, ErrorKind, ProtocolId, Result};

use super::law::{HOSTILE, UNRECOGNIZED};
use super::{DiscoveryUnderTest, NOW, advertisement};
use crate::law::ensure;
use crate::{Law, SeededRandom, Verdict};

/// A text that is no query of the protocol is refused, and not as out of reach:
/// that could only tell who had asked. Where the factory counts contacts, none
/// is made.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_query_that_is_not_recognized_contacts_nobody(at: DiscoveryUnderTest) -> Verdict {
    let law = &UNRECOGNIZED;
    let long = "x".repeat(1024 * 1024);
    let texts = [
        "",
        " ",
        "raya",
        "https://example.org",
        "nats://example.org:4222/x",
        "mailto:raya",
        "\0",
        "\u{200b}",
        "cf",
        "/cf/discovery/link/1",
        &long,
    ];
    let before = at.contacts.as_ref().map(|count| count());
    for text in texts
        .into_iter()
        .filter(|text| !at.resolver.recognizes(text))
    {
        let start: String = text.chars().take(30).collect();
        match at.resolve(law, text, NOW).await? {
            Err(error) if !error.is_retryable() => {}
            other => return Err(law.broken(format!("{start:?} gave {other:?}"))),
        }
    }
    let after = at.contacts.as_ref().map(|count| count());
    ensure!(
        law,
        before == after,
        "contacts went from {before:?} to {after:?}"
    );
    Ok(())
}

/// Altered queries, and the queries that the factory gives for hostile answers,
/// give a typed error or a bounded number of sets, in bounded time.
///
/// # Errors
/// The violation, if there is one.
pub async fn a_hostile_answer_is_bounded_and_gives_a_typed_error(
    at: DiscoveryUnderTest,
) -> Verdict {
    let law = &HOSTILE;
    let random = &mut SeededRandom::new(11);
    let id = law.needs("an id", ProtocolId::parse("/example/init/1"))?;
    let set = BundleSet::new(vec![(id, Bytes::from(vec![7; 200]))]);
    let set = law.needs("a set", set)?;
    let advertised = at.advertise(law, advertisement(random, set)).await?;
    let query = law.needs("advertising", advertised)?.query;
    for _ in 0..200 {
        let altered = altered(random, &query);
        check(law, &at.resolve(law, &altered, NOW).await?)?;
    }
    for query in &at.hostile {
        let found = at.resolve(law, query, NOW).await?;
        check(law, &found)?;
        ensure!(law, found.is_err(), "a hostile answer was taken: {found:?}");
    }
    // The true query is found as before.
    let found = at.resolve(law, &query, NOW).await?;
    law.needs("resolving", found)?;
    Ok(())
}

fn altered(random: &mut SeededRandom, query: &str) -> String {
    let mut letters: Vec<char> = query.chars().collect();
    let place = random.below(letters.len().max(1) as u64) as usize;
    match random.below(5) {
        0 => letters.truncate(place),
        1 => letters.extend(query.chars().take(place)),
        2 => letters.insert(place, '='),
        3 => letters.reverse(),
        _ => letters[place] = if letters[place] == 'A' { 'B' } else { 'A' },
    }
    letters.into_iter().collect()
}

fn check(law: &Law, found: &Result<Vec<BundleSet>>) -> Verdict {
    match found {
        Ok(sets) => {
            let (len, max) = (sets.len(), DiscoveryUnderTest::MAX_SETS);
            ensure!(law, len <= max, "an answer has {len} sets, more than {max}");
        }
        Err(error) => ensure!(
            law,
            !matches!(error.kind(), ErrorKind::Misuse | ErrorKind::Other),
            "the error blames the caller or nobody: {error:?}"
        ),
    }
    Ok(())
}
