//! What is announced: the TXT record.
//!
//! ```text
//! txtvers=1   n=NAME   0=LINK…   1=…LINK   …
//! ```

use sha2::{Digest, Sha256};

use crate::{Error, Heard, Lan};

/// A name, and the link by which its owner is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    name: String,
    link: String,
}

impl Announcement {
    /// The longest name, in bytes.
    pub const MAX_NAME_LEN: usize = 64;
    /// The longest link, in bytes: one message of mDNS takes no more.
    pub const MAX_LINK_LEN: usize = 8000;
    /// The most strings of a record that are looked at.
    pub const MAX_STRINGS: usize = 64;

    /// How much of a link is in one string of the record, in bytes.
    const PIECE: usize = 250;
    const VERSION: u64 = 1;

    /// Takes a name and a link.
    ///
    /// # Errors
    /// [`Error::NotAName`], [`Error::TooLong`], or [`Error::NotAnAnnouncement`] for a link
    /// that is empty or not of printable ASCII characters.
    pub fn new(name: &str, link: &str) -> Result<Self, Error> {
        if link.is_empty() || !link.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "a link is of printable ASCII characters";
            return Err(Error::NotAnAnnouncement { why });
        }
        let (len, max) = (link.len(), Self::MAX_LINK_LEN);
        if len > max {
            return Err(Error::TooLong { len, max });
        }
        Ok(Self {
            name: checked_name(name)?,
            link: link.to_owned(),
        })
    }

    /// The name that its owner claims.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The link by which its owner is reached.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// What its record is called: a hash of the link, so that two of one name are two.
    pub fn instance(&self) -> String {
        let label = format!("{} instance\0", Lan::ID.as_str());
        let hash = Sha256::new().chain_update(label).chain_update(&self.link);
        let hash = hash.finalize();
        hash.iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Whether it claims a name. Capitals are the same as small letters.
    pub fn claims(&self, name: &str) -> bool {
        self.name.to_lowercase() == name.trim().to_lowercase()
    }

    /// The strings of the record, in order.
    pub fn encode(&self) -> Vec<(String, String)> {
        let mut strings = vec![
            ("txtvers".to_owned(), Self::VERSION.to_string()),
            ("n".to_owned(), self.name.clone()),
        ];
        let pieces = self.link.as_bytes().chunks(Self::PIECE);
        // ASCII, so that every piece is text.
        let pieces = pieces.map(|piece| String::from_utf8_lossy(piece).into_owned());
        strings.extend(
            pieces
                .enumerate()
                .map(|(at, piece)| (at.to_string(), piece)),
        );
        strings
    }

    /// Reads a record that was heard. Keys that it does not know do not count.
    ///
    /// # Errors
    /// [`Error::NewerVersion`], [`Error::NotAnAnnouncement`], and those of [`new`](Self::new).
    pub fn decode(heard: &Heard) -> Result<Self, Error> {
        let broken = |why| Error::NotAnAnnouncement { why };
        if heard.strings.len() > Self::MAX_STRINGS {
            return Err(broken("too many strings"));
        }
        let text = |key: &str| {
            let mut all = heard.strings.iter();
            let (_, value) = all.find(|(other, _)| other == key)?;
            std::str::from_utf8(value).ok()
        };
        let version = text("txtvers").and_then(|version| version.parse().ok());
        match version.ok_or(broken("its version is not there"))? {
            Self::VERSION => {}
            version => return Err(Error::NewerVersion { version }),
        }
        let name = text("n").ok_or(broken("its name is not there"))?;
        let mut link = String::new();
        for at in 0..Self::MAX_STRINGS {
            match text(&at.to_string()) {
                Some(piece) => link.push_str(piece),
                None => break,
            }
        }
        Self::new(name, &link)
    }
}

/// A name as it is announced, without white space around it.
pub(crate) fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    let max = Announcement::MAX_NAME_LEN;
    // The sign that separates a fingerprint is in no name.
    let is_name = (1..=max).contains(&name.len())
        && !name.chars().any(|char| char.is_control() || char == '#');
    match is_name {
        true => Ok(name.to_owned()),
        false => Err(Error::NotAName { max }),
    }
}
