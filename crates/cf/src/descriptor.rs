//! Protocol descriptors as files, and their digests: `docs/spec/descriptor.md`.

use std::collections::BTreeMap;
use std::fmt;

use cf_core::{Component, Error, ErrorKind, ProtocolDescriptor, ProtocolId, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest file of a descriptor, in bytes.
pub const MAX_FILE_LEN: usize = 256 * 1024;
/// The most components for one choice.
pub const MAX_COMPONENTS: usize = 64;
/// The most parameters of one component.
pub const MAX_PARAMETERS: usize = 64;

/// The digest of a descriptor: SHA-256 over its canonical bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DescriptorDigest(pub [u8; 32]);

impl DescriptorDigest {
    /// The digest of a descriptor.
    ///
    /// ```
    /// use cf::descriptor::{DescriptorDigest, read, to_toml};
    /// let descriptor = cf::core::ProtocolDescriptor::default();
    /// let digest = DescriptorDigest::of(&descriptor);
    /// let file = to_toml(&descriptor)?;
    /// assert!(file.contains(&digest.to_string()));
    /// assert_eq!(read(&file)?, descriptor);
    /// # Ok::<(), cf::core::Error>(())
    /// ```
    pub fn of(descriptor: &ProtocolDescriptor) -> Self {
        Self(Sha256::digest(descriptor.canonical_bytes()).into())
    }
}

impl fmt::Display for DescriptorDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Writes a descriptor as TOML, with its digest.
///
/// # Errors
/// `Misuse` for a descriptor over the limits of a file.
pub fn to_toml(descriptor: &ProtocolDescriptor) -> Result<String> {
    let file = File::write(descriptor)?;
    toml::to_string_pretty(&file).map_err(|error| Error::from_source(ErrorKind::Misuse, error))
}

/// Writes a descriptor as JSON, with its digest.
///
/// # Errors
/// `Misuse` for a descriptor over the limits of a file.
pub fn to_json(descriptor: &ProtocolDescriptor) -> Result<String> {
    let file = File::write(descriptor)?;
    serde_json::to_string(&file).map_err(|error| Error::from_source(ErrorKind::Misuse, error))
}

/// Reads a descriptor from TOML or JSON. A digest in it has to be that of the rest.
///
/// # Errors
/// `Malformed` for what is no descriptor or over a limit, `Unsupported` for another
/// format, `Rejected` for a digest of something else.
pub fn read(text: &str) -> Result<ProtocolDescriptor> {
    if text.len() > MAX_FILE_LEN {
        return Err(Error::malformed("a descriptor takes at most 256 KiB"));
    }
    let is_json = text.trim_start().starts_with('{');
    let malformed = |error: &dyn fmt::Display| Error::malformed(format!("no descriptor: {error}"));
    // Of another format nothing else may be known.
    let Named { format } = match is_json {
        true => serde_json::from_str(text).map_err(|error| malformed(&error))?,
        false => toml::from_str(text).map_err(|error| malformed(&error))?,
    };
    if format != ProtocolDescriptor::CANONICAL {
        return Err(Error::unsupported(format!(
            "a descriptor of the format {format}, and this version knows {}",
            ProtocolDescriptor::CANONICAL
        )));
    }
    let file: File = match is_json {
        true => serde_json::from_str(text).map_err(|error| malformed(&error))?,
        false => toml::from_str(text).map_err(|error| malformed(&error))?,
    };
    file.read()
}

#[derive(Deserialize)]
struct Named {
    format: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default)]
    delivery_service: Vec<Part>,
    #[serde(default)]
    framing: Vec<Part>,
    #[serde(default)]
    discovery: Vec<Part>,
    #[serde(default)]
    initialization: Vec<Part>,
    #[serde(default)]
    conversation: Vec<Part>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<String, Value>,
}

/// A parameter's text, without quotes where that says the same.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Flag(bool),
    Number(Whole),
    Text(String),
}

/// A number that both TOML and JSON have.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
struct Whole(i64);

impl TryFrom<i64> for Whole {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, &'static str> {
        match number {
            0.. => Ok(Self(number)),
            _ => Err("a number is not below 0"),
        }
    }
}

impl From<Whole> for i64 {
    fn from(Whole(number): Whole) -> Self {
        number
    }
}

impl Value {
    fn write(text: &str) -> Self {
        match (text, text.parse::<i64>()) {
            ("true", _) => Self::Flag(true),
            ("false", _) => Self::Flag(false),
            (_, Ok(number @ 0..)) if number.to_string() == text => Self::Number(Whole(number)),
            _ => Self::Text(text.to_owned()),
        }
    }

    fn read(self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(Whole(number)) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

impl File {
    fn write(descriptor: &ProtocolDescriptor) -> Result<Self> {
        let parts = |components: &[Component]| components.iter().map(Part::write).collect();
        let file = Self {
            format: ProtocolDescriptor::CANONICAL.to_owned(),
            digest: Some(DescriptorDigest::of(descriptor).to_string()),
            delivery_service: parts(&descriptor.delivery_services),
            framing: parts(&descriptor.framings),
            discovery: parts(&descriptor.discoveries),
            initialization: parts(&descriptor.initializations),
            conversation: parts(&descriptor.conversations),
        };
        match file.is_bounded() {
            true => Ok(file),
            false => Err(Error::misuse(TOO_MANY)),
        }
    }

    fn read(self) -> Result<ProtocolDescriptor> {
        if !self.is_bounded() {
            return Err(Error::malformed(TOO_MANY));
        }
        let components =
            |parts: Vec<Part>| -> Result<_> { parts.into_iter().map(Part::read).collect() };
        let descriptor = ProtocolDescriptor {
            delivery_services: components(self.delivery_service)?,
            framings: components(self.framing)?,
            discoveries: components(self.discovery)?,
            initializations: components(self.initialization)?,
            conversations: components(self.conversation)?,
        };
        let digest = DescriptorDigest::of(&descriptor).to_string();
        match self.digest {
            Some(said) if said != digest => Err(Error::rejected(format!(
                "the descriptor says that its digest is {said}, and it is {digest}"
            ))),
            _ => Ok(descriptor),
        }
    }

    fn is_bounded(&self) -> bool {
        let choices = [
            &self.delivery_service,
            &self.framing,
            &self.discovery,
            &self.initialization,
            &self.conversation,
        ];
        choices.iter().all(|parts| {
            let few = |part: &Part| part.parameters.len() <= MAX_PARAMETERS;
            parts.len() <= MAX_COMPONENTS && parts.iter().all(few)
        })
    }
}

const TOO_MANY: &str = "a descriptor takes 64 components for a choice, each of 64 parameters";

impl Part {
    fn write(component: &Component) -> Self {
        let parameters = component.parameters.iter();
        Self {
            id: component.id.to_string(),
            version: component.id.version().parse().ok(),
            parameters: parameters
                .map(|(name, value)| (name.clone(), Value::write(value)))
                .collect(),
        }
    }

    fn read(self) -> Result<Component> {
        let mut component = Component::new(ProtocolId::parse(&self.id)?);
        let version = component.id.version().parse().ok();
        if self.version.is_some() && self.version != version {
            return Err(Error::malformed(format!(
                "the version of {} is not what its id says",
                self.id
            )));
        }
        for (name, value) in self.parameters {
            component.parameters.insert(name, value.read());
        }
        Ok(component)
    }
}
