//! What an observer may compute of payloads, as numbers that have the standard
//! normal distribution if the payloads are random.

use cf_testkit::SeededRandom;

/// A payload as its observer sees it: tag and body, of one length.
pub(crate) type Bits = Vec<u8>;

/// Pairs of payloads.
pub(crate) type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// How far byte values at one position are from uniform, the worst position, and
/// all positions together.
pub(crate) fn uniformity(payloads: &[&[u8]]) -> (f64, f64) {
    let count = payloads.len() as f64;
    let positions = payloads[0].len();
    let chi_squares: Vec<f64> = (0..positions)
        .map(|at| chi_square(payloads.iter().map(|payload| payload[at]), count))
        .collect();
    let worst = chi_squares.iter().copied().fold(0.0, f64::max);
    let sum = chi_squares.iter().sum();
    let freedom = 255.0;
    (
        normal(worst, freedom),
        normal(sum, freedom * positions as f64),
    )
}

/// How far the bytes of all positions together are from uniform.
pub(crate) fn pooled_uniformity(payloads: &[&[u8]]) -> f64 {
    let bytes = payloads.iter().flat_map(|payload| payload.iter().copied());
    let count = payloads.iter().map(|payload| payload.len()).sum::<usize>();
    normal(chi_square(bytes, count as f64), 255.0)
}

/// The ones at each place of a bit: the place that is furthest from a half.
pub(crate) fn worst_bit<'a>(payloads: impl Iterator<Item = Bits> + 'a) -> f64 {
    let (mut ones, mut count) = (Vec::new(), 0.0);
    for payload in payloads {
        ones.resize(payload.len() * 8, 0u32);
        for (at, byte) in payload.iter().enumerate() {
            for bit in 0..8 {
                ones[at * 8 + bit] += u32::from(byte >> bit & 1);
            }
        }
        count += 1.0;
    }
    let z = |ones: &u32| (2.0 * f64::from(*ones) - count) / f64::sqrt(count);
    ones.iter().map(|ones| z(ones).abs()).fold(0.0, f64::max)
}

/// What tells pairs that are related from pairs that are not; by its name.
pub(crate) fn distinguish(related: &Pairs<'_>, unrelated: &Pairs<'_>) -> Vec<(&'static str, f64)> {
    type Statistic = fn(&[u8], &[u8]) -> f64;
    let statistics: [(&str, Statistic); 5] = [
        ("Hamming distance", hamming),
        ("equal bytes", |a, b| equal(xor(a, b))),
        ("XOR byte histogram", |a, b| histogram(&xor(a, b))),
        ("common substrings", common_substrings),
        ("distance of the tags", tag_distance),
    ];
    let mut found: Vec<_> = statistics
        .iter()
        .map(|(name, statistic)| {
            let of = |pairs: &Pairs<'_>| pairs.iter().map(|(a, b)| statistic(a, b)).collect();
            (*name, welch(of(related), of(unrelated)))
        })
        .collect();
    let agreement = worst_bit(related.iter().map(|(a, b)| xor(a, b)));
    found.push(("agreement of one bit", agreement));
    found
}

/// Shuffled, so that pairs of neighbours are pairs at random.
pub(crate) fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    let mut random = SeededRandom::new(seed);
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at as u64 + 1) as usize);
    }
    items
}

/// The difference of two means, in its own standard deviations.
pub(crate) fn welch(one: Vec<f64>, other: Vec<f64>) -> f64 {
    let moments = |values: &[f64]| {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2));
        (mean, squares.sum::<f64>() / (count - 1.0) / count)
    };
    let ((one, one_error), (other, other_error)) = (moments(&one), moments(&other));
    match one_error + other_error {
        0.0 if one == other => 0.0,
        error => (one - other) / error.sqrt(),
    }
}

fn chi_square(bytes: impl Iterator<Item = u8>, count: f64) -> f64 {
    let mut counts = [0.0; 256];
    bytes.for_each(|byte| counts[usize::from(byte)] += 1.0);
    let expected = count / 256.0;
    let deviations = counts.iter().map(|found| (found - expected).powi(2));
    deviations.sum::<f64>() / expected
}

/// A chi-square value as a normal one (Wilson and Hilferty).
fn normal(chi_square: f64, freedom: f64) -> f64 {
    let part = 2.0 / (9.0 * freedom);
    ((chi_square / freedom).cbrt() - (1.0 - part)) / part.sqrt()
}

fn xor(a: &[u8], b: &[u8]) -> Bits {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

fn hamming(a: &[u8], b: &[u8]) -> f64 {
    let ones = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones());
    f64::from(ones.sum::<u32>())
}

fn equal(xor: Bits) -> f64 {
    xor.iter().filter(|byte| **byte == 0).count() as f64
}

fn histogram(xor: &[u8]) -> f64 {
    chi_square(xor.iter().copied(), xor.len() as f64)
}

/// How many of the two-byte strings of one are in the other, wherever.
fn common_substrings(a: &[u8], b: &[u8]) -> f64 {
    let strings = |bytes: &[u8]| {
        let mut strings: Vec<_> = bytes.windows(2).map(<[u8]>::to_vec).collect();
        strings.sort_unstable();
        strings.dedup();
        strings
    };
    let (a, b) = (strings(a), strings(b));
    a.iter()
        .filter(|string| b.binary_search(string).is_ok())
        .count() as f64
}

/// The logarithm of how far the tags are apart as numbers.
fn tag_distance(a: &[u8], b: &[u8]) -> f64 {
    let tag = |bytes: &[u8]| {
        let tag: [u8; 16] = bytes[..16].try_into().expect("a tag has 16 bytes");
        u128::from_be_bytes(tag)
    };
    (tag(a).abs_diff(tag(b)) as f64 + 1.0).log2()
}
