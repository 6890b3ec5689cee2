//! The text of a query:
//!
//! ```text
//! "cfdir_1_" name "@" locator
//! ```

use std::fmt;

use cf_core::Locator;

use super::Directory;
use crate::Error;

const FAMILY: &str = "cfdir_";

/// A name, and on which service it is looked up.
pub(super) struct Query {
    pub(super) name: String,
    pub(super) locator: Locator,
}

impl Query {
    pub(super) fn decode(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let rest = match text.strip_prefix(Directory::PREFIX) {
            Some(rest) => rest,
            None => return Err(other_prefix(text)),
        };
        let (len, max) = (text.len(), Directory::MAX_LEN);
        if len > max {
            return Err(Error::TooLong { len, max });
        }
        let (name, locator) = rest.split_once('@').ok_or(Error::NoDirectory)?;
        Ok(Self {
            name: checked_name(name)?,
            locator: Locator::parse(locator).map_err(|_| Error::NoDirectory)?,
        })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}@{}", Directory::PREFIX, self.name, self.locator)
    }
}

fn other_prefix(text: &str) -> Error {
    let version = text
        .strip_prefix(FAMILY)
        .and_then(|rest| rest.split_once('_'));
    match version.and_then(|(version, _)| version.parse().ok()) {
        Some(version) => Error::NewerVersion { version },
        None => Error::NotInADirectory,
    }
}

/// A name as it is looked up: capitals are the same as small letters.
pub(super) fn checked_name(name: &str) -> Result<String, Error> {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = (1..=Directory::MAX_NAME_LEN).contains(&name.len());
    match is_name && name.bytes().all(of_name) {
        true => Ok(name.to_ascii_lowercase()),
        false => Err(Error::NotADirectoryName),
    }
}
