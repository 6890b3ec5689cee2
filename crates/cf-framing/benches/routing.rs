//! What it costs to find a payload's instance, beside a bare probe of the same
//! table: 10, 10,000 and 1,000,000 expected tags.

use std::collections::HashMap;
use std::hint::black_box;

use bytes::Bytes;
use cf_core::{Frame, FramingStrategy, InstanceId, Random, Router, RoutingTag, Tag};
use cf_framing::{Tagged, Wap};
use cf_testkit::SeededRandom;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// How many payloads take turns, so that the table is not always in the cache.
const PAYLOADS: usize = 4096;
const BODY_LEN: usize = 340;

fn tags(count: usize) -> Vec<RoutingTag> {
    let random = &mut SeededRandom::new(1);
    let tag = |_| {
        let mut tag = [0; 16];
        random.fill(&mut tag);
        RoutingTag(tag)
    };
    (0..count).map(tag).collect()
}

fn router(framing: &dyn FramingStrategy, tags: &[RoutingTag]) -> Box<dyn Router> {
    let mut router = framing.router();
    for (index, tag) in tags.iter().enumerate() {
        for kind in [Tag::SingleUse(*tag), Tag::Standing(*tag)] {
            router
                .expect(kind, InstanceId(index as u64))
                .expect("every tag is new");
        }
    }
    router
}

fn payloads(framing: &dyn FramingStrategy, tags: &[RoutingTag]) -> Vec<Bytes> {
    let random = &mut SeededRandom::new(2);
    let payload = |_| {
        let tag = tags[random.below(tags.len() as u64) as usize];
        let frame = Frame::new(tag, vec![7; BODY_LEN]);
        framing.encode(&frame, 4096).expect("a short body")
    };
    (0..PAYLOADS).map(payload).collect()
}

fn route(criterion: &mut Criterion) {
    for (name, count) in [("10", 10), ("10,000", 10_000), ("1,000,000", 1_000_000)] {
        let tags = tags(count);
        let mut group = criterion.benchmark_group(format!("route among {name} tags"));

        // As the router's own table: the tag, the instance, two kinds.
        let entry = |(tag, index): (&RoutingTag, u64)| (*tag, (InstanceId(index), true, true));
        let table: HashMap<RoutingTag, _> = tags.iter().zip(0..).map(entry).collect();
        let sent = payloads(&Tagged, &tags);
        let mut turn = 0;
        group.bench_function("bare probe", |bench| {
            bench.iter(|| {
                turn = (turn + 1) % PAYLOADS;
                let tag = black_box(&sent[turn]).get(2..18);
                let tag = tag.and_then(|tag| tag.try_into().ok()).map(RoutingTag);
                black_box(tag.and_then(|tag| table.get(&tag)).copied())
            });
        });

        let tagged = router(&Tagged, &tags);
        group.bench_function("tagged", |bench| {
            bench.iter(|| {
                turn = (turn + 1) % PAYLOADS;
                black_box(
                    tagged
                        .route(black_box(&sent[turn]))
                        .expect("a payload")
                        .instance,
                )
            });
        });
        drop((table, tagged));

        let (wap, sent) = (router(&Wap, &tags), payloads(&Wap, &tags));
        group.sample_size(10);
        group.bench_function("wap", |bench| {
            bench.iter(|| {
                turn = (turn + 1) % PAYLOADS;
                black_box(
                    wap.route(black_box(&sent[turn]))
                        .expect("a payload")
                        .instance,
                )
            });
        });
        group.finish();
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode 340 bytes");
    let frame = Frame::new(RoutingTag([7; 16]), vec![7; BODY_LEN]);
    let framings: [(&str, &dyn FramingStrategy); 2] = [("tagged", &Tagged), ("wap", &Wap)];
    for (name, framing) in framings {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                framing
                    .encode(black_box(&frame), 4096)
                    .expect("a short body")
            });
        });
    }
    group.bench_function("bare copy", |bench| {
        bench.iter_batched(
            || (),
            |()| [frame.tag.as_bytes(), black_box(&frame.body)].concat(),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, route, encode);
criterion_main!(benches);
