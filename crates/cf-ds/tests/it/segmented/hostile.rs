//! Pieces that are lost, repeated, reordered, mixed and forged.

use std::collections::HashSet;

use bytes::Bytes;
use cf_core::{Random, Start};
use cf_testkit::SeededRandom;

use super::{around, payload, payloads, pieces, publish, small, subscribed};

fn shuffle<T>(all: &mut [T], random: &mut SeededRandom) {
    for at in (1..all.len()).rev() {
        all.swap(at, random.below(at as u64 + 1) as usize);
    }
}

#[tokio::test]
async fn mixed_reordered_and_repeated_pieces_give_every_payload_once() {
    let mut random = SeededRandom::new(1);
    let sent: Vec<_> = (0..20)
        .map(|n| payload(n, 5_000 + 3_000 * n as usize))
        .collect();
    let mut all = Vec::new();
    for payload in &sent {
        all.extend(pieces(payload).await);
    }
    shuffle(&mut all, &mut random);
    let again: Vec<_> = all.iter().take(20).cloned().collect();
    all.splice(5..5, again);
    let inner = small();
    let service = around(&inner);
    let mut subscription = subscribed(&service, Start::Earliest).await;
    for piece in all {
        publish(&inner, piece).await;
    }
    let got: HashSet<_> = payloads(&mut *subscription).into_iter().collect();
    assert_eq!(got, sent.into_iter().collect());
}

/// Every byte of a piece is authenticated: with any of them changed it is dropped,
/// and the true piece completes the payload all the same.
#[tokio::test]
async fn a_forged_piece_neither_counts_nor_harms_the_true_one() {
    let sent = payload(1, 9_000);
    let pieces = pieces(&sent).await;
    let inner = small();
    let service = around(&inner);
    let mut subscription = subscribed(&service, Start::Earliest).await;
    let mut forged = 0;
    let places = (0..140).chain((140..pieces[1].len()).step_by(97));
    for place in places {
        let mut piece = pieces[1].to_vec();
        piece[place] ^= 1 << (place % 8);
        publish(&inner, piece).await;
        forged += 1;
    }
    // Cut short, made longer, another's end.
    for piece in [
        pieces[1].slice(..pieces[1].len() - 1),
        [&pieces[2][..], &[0]].concat().into(),
        [&pieces[1][..200], &pieces[0][200..]].concat().into(),
        Bytes::new(),
    ] {
        publish(&inner, piece).await;
        forged += 1;
    }
    let made_up: Vec<_> = payloads(&mut *subscription);
    let counts = service.counts();
    assert_eq!(
        counts.malformed + counts.wrong + made_up.len() as u64,
        forged,
        "{counts:?}"
    );
    // A changed first byte may read as "whole payload": 1 in 256 for each.
    assert!(made_up.len() <= 5, "{} payloads came", made_up.len());
    for piece in &pieces {
        publish(&inner, piece.clone()).await;
    }
    assert_eq!(payloads(&mut *subscription), [sent]);
}

#[tokio::test]
async fn random_bytes_never_end_a_subscription() {
    let mut random = SeededRandom::new(2);
    let inner = small();
    let service = around(&inner);
    let mut subscription = subscribed(&service, Start::Earliest).await;
    for _ in 0..5_000 {
        let mut bytes = vec![0; random.below(700) as usize];
        random.fill(&mut bytes);
        publish(&inner, bytes).await;
    }
    let came = payloads(&mut *subscription).len();
    assert!(came < 100, "{came} of 5000 read as whole payloads");
    assert!(service.counts().malformed > 4_500);
    publish(&service, "still here").await;
    assert_eq!(payloads(&mut *subscription), ["still here"]);
}

/// No two unrelated pieces have bytes of their headers in common beyond chance.
#[tokio::test]
async fn headers_of_unrelated_pieces_look_unrelated() {
    let mut equal = [0; 38];
    let (mut count, mut last) = (0, None::<Bytes>);
    for n in 0..200 {
        for piece in pieces(&payload(n, 9_000)).await {
            if let Some(last) = last.replace(piece.clone()) {
                let same = (0..equal.len()).filter(|at| last[*at] == piece[*at]);
                same.for_each(|at| equal[at] += 1);
                count += 1;
            }
        }
    }
    let most = equal.into_iter().max().unwrap();
    assert!(
        most < 15,
        "{most} of {count} neighbours have an equal byte at one place"
    );
}
