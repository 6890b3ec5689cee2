//! Safety numbers: what two people compare to know that nobody is between them.

use std::fmt;

use cf_core::{Error, ParticipantId, Result};
use sha2::{Digest, Sha512};

/// How often each fingerprint is hashed, so that finding one that looks alike costs.
const ITERATIONS: usize = 5_200;
/// The version of a fingerprint, in front of what is hashed first.
const FINGERPRINT_VERSION: [u8; 2] = [0, 0];
/// The digits of one participant's fingerprint.
const FINGERPRINT_DIGITS: usize = 30;
/// The digits of a group, as it is shown.
const GROUP: usize = 5;

/// Signal's numeric fingerprint over two identity keys: 60 digits, the same on both
/// sides.
///
/// Two people who see the same number have each other's identity keys, and nobody is
/// between them. Who wants another key to give the same number has to find it among
/// about 2^100, at 5,200 hashes each.
///
/// ```
/// use cf_core::ParticipantId;
/// use cf_identity::SafetyNumber;
/// let (saro, raya) = (ParticipantId::new("saro's key")?, ParticipantId::new("raya's key")?);
/// let number = SafetyNumber::of(&saro, &raya);
/// assert_eq!(number, SafetyNumber::of(&raya, &saro));
/// assert_eq!(SafetyNumber::parse(&number.to_string())?, number);
/// assert_eq!(number.to_string().split(' ').count(), 12);
/// # Ok::<(), cf_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SafetyNumber(String);

impl SafetyNumber {
    /// How many digits it has.
    pub const DIGITS: usize = 2 * FINGERPRINT_DIGITS;

    /// The number of two participants, in either order.
    ///
    /// The stable identifier of Signal's derivation is the participant id, and so is
    /// the key: an id *is* the identity key here.
    pub fn of(one: &ParticipantId, other: &ParticipantId) -> Self {
        let [one, other] = [one, other].map(|id| fingerprint(id.as_bytes(), id.as_bytes()));
        Self::join(one, other)
    }

    /// Reads a number that somebody typed or scanned; white space does not count.
    ///
    /// # Errors
    /// `Malformed` unless there are [`Self::DIGITS`] digits and nothing else.
    pub fn parse(text: &str) -> Result<Self> {
        let mut digits = String::with_capacity(Self::DIGITS);
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            if !c.is_ascii_digit() || digits.len() == Self::DIGITS {
                return Err(not_a_number());
            }
            digits.push(c);
        }
        match digits.len() == Self::DIGITS {
            true => Ok(Self(digits)),
            false => Err(not_a_number()),
        }
    }

    /// The digits, without spaces: what a picture of it holds.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// Both sides have them in one order.
    fn join(one: String, other: String) -> Self {
        let [first, second] = if one <= other {
            [one, other]
        } else {
            [other, one]
        };
        Self(first + &second)
    }
}

/// Shown as twelve groups of five digits.
impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, digit) in self.0.chars().enumerate() {
            if index > 0 && index % GROUP == 0 {
                f.write_str(" ")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

fn not_a_number() -> Error {
    Error::malformed("a safety number has 60 digits, in twelve groups of five")
}

/// The 30 digits of one participant: six numbers below 100,000 of five bytes each.
fn fingerprint(key: &[u8], stable_id: &[u8]) -> String {
    let mut hash = Sha512::new()
        .chain_update(FINGERPRINT_VERSION)
        .chain_update(key)
        .chain_update(stable_id)
        .chain_update(key)
        .finalize();
    for _ in 1..ITERATIONS {
        hash = Sha512::new()
            .chain_update(hash)
            .chain_update(key)
            .finalize();
    }
    let digits = |bytes: &[u8]| {
        let number = bytes
            .iter()
            .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        format!("{:05}", number % 100_000)
    };
    hash.chunks_exact(5)
        .take(FINGERPRINT_DIGITS / GROUP)
        .map(digits)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published vector of Signal's `NumericFingerprintGenerator` (libsignal's own
    /// tests, 5,200 iterations): there a key has the byte 5 in front, and a telephone
    /// number is the stable identifier.
    #[test]
    fn signals_published_vector() {
        let alice = b"\x05\x06\x86\x3b\xc6\x6d\x02\xb4\x0d\x27\xb8\xd4\x9c\xa7\xc0\x9e\x92\x39\
            \x23\x6f\x9d\x7d\x25\xd6\xfc\xca\x5c\xe1\x3c\x70\x64\xd8\x68";
        let bob = b"\x05\xf7\x81\xb6\xfb\x32\xfe\xd9\xba\x1c\xf2\xde\x97\x8d\x4d\x5d\xa2\x8d\
            \xc3\x40\x46\xae\x81\x44\x02\xb5\xc0\xdb\xd9\x6f\xda\x90\x7b";
        let number = || {
            let alice = fingerprint(alice, b"+14152222222");
            SafetyNumber::join(fingerprint(bob, b"+14153333333"), alice)
        };
        let expected = "300354477692869396892869876765458257569162576843440918079131";
        assert_eq!(number().digits(), expected);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let id = |byte| ParticipantId::new(vec![byte; 32]).expect("short");
        let number = SafetyNumber::of(&id(1), &id(2));
        assert_ne!(number, SafetyNumber::of(&id(1), &id(3)));
        let shown = number.to_string();
        let read = |text: &str| SafetyNumber::parse(text).ok();
        assert_eq!(read(&format!("\n {shown}\t")), Some(number.clone()));
        assert_eq!(read(number.digits()), Some(number));
        let longer = format!("{shown}1");
        let arabic = shown.replacen(|c: char| c.is_ascii_digit(), "\u{661}", 1);
        for wrong in ["", &shown[1..], &longer, &arabic, &format!("x{shown}")] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
