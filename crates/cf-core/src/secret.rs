//! Secret bytes.

use std::fmt;

use zeroize::Zeroizing;

/// Secret bytes: overwritten on drop, never printed, not comparable with `==`.
///
/// ```
/// let secret = cf_core::Secret::new(vec![7; 32]);
/// assert_eq!(format!("{secret:?}"), "Secret(32 bytes)");
/// assert_eq!(secret.expose()[0], 7);
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Copy them only into something that is overwritten as well.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}
