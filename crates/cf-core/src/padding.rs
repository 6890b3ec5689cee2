//! The lengths that payloads may have, so that a length tells little.
//!
//! Padmé (Nikitin et al., PETS 2019): a length keeps only as many significant
//! bits as its own logarithm needs, which leaks O(log log n) bits for at most
//! 12 % more bytes. Padding itself is inside encryption and so the business of
//! the component that encrypts; the *class* is shared here, since an invite and
//! a message must not be told apart by their lengths.

/// The smallest padded length, in bytes.
pub const FLOOR: usize = 256;

/// The length of the body of a frame around `padded` bytes of plaintext: what
/// every stock component adds to it (salt 16, header 52, seal 16).
pub const BODY_OVERHEAD: usize = 84;

/// The padded length for `len` bytes of plaintext; at least [`FLOOR`].
///
/// ```
/// use cf_core::padding::padded_len;
/// assert_eq!(padded_len(0), 256);
/// assert_eq!(padded_len(257), 272);
/// assert_eq!(padded_len(4096), 4096);
/// ```
pub const fn padded_len(len: usize) -> usize {
    if len <= FLOOR {
        return FLOOR;
    }
    let exponent = len.ilog2();
    let significant = exponent.ilog2() + 1;
    let mask = (1usize << (exponent - significant)) - 1;
    match len.checked_add(mask) {
        Some(sum) => sum & !mask,
        None => usize::MAX,
    }
}

/// The longest padded length that is at most `limit`, or `None` below [`FLOOR`].
///
/// ```
/// use cf_core::padding::largest_class;
/// assert_eq!(largest_class(4097), Some(4096));
/// assert_eq!(largest_class(255), None);
/// ```
pub const fn largest_class(limit: usize) -> Option<usize> {
    if limit < FLOOR {
        return None;
    }
    let exponent = limit.ilog2();
    let significant = exponent.ilog2() + 1;
    let mask = (1usize << (exponent - significant)) - 1;
    Some(limit & !mask)
}
