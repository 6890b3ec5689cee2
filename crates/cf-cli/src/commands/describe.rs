//! What protocol a client speaks, and what two of them have in common.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use cf::core::{Error, ProtocolDescriptor, ProtocolId};
use cf::descriptor::{DescriptorDigest, MAX_FILE_LEN, read, to_toml};
use cf::{Common, Finding, Severity, lint};
use serde_json::{Value, json};

use super::{Failure, Outcome, only};
use crate::home::{Call, Session};
use crate::show::{self, Output};

/// Shows what the home's client is composed of.
pub(super) async fn describe(session: &mut Session, toml: bool, out: &mut Output) -> Outcome {
    let file = only(session.call(Call::Describe).await?)?;
    let descriptor = read(&file.to_string())?;
    if toml {
        return Ok(out.raw(to_toml(&descriptor)?.trim_end())?);
    }
    out.object(&file, |_| Some(sentences(&descriptor)))?;
    Ok(())
}

fn sentences(descriptor: &ProtocolDescriptor) -> String {
    let mut lines = Vec::new();
    for (choice, component) in descriptor.components() {
        lines.push(format!("{choice:<18}{}", component.id));
        let parameters = component.parameters.iter();
        let said: Vec<_> = parameters
            .map(|(name, value)| match &**value {
                "true" => name.clone(),
                value => format!("{name} {value}"),
            })
            .collect();
        if !said.is_empty() {
            lines.push(format!("{:<18}  {}", "", said.join(", ")));
        }
    }
    lines.push(format!(
        "{:<18}{}",
        "digest",
        DescriptorDigest::of(descriptor)
    ));
    show::harmless(&lines.join("\n"))
}

/// Lints the descriptor in a file, or says what two have in common.
pub(super) fn check(first: &Path, second: Option<&Path>, out: &mut Output) -> Outcome {
    let first = load(first)?;
    let ok = match second {
        None => findings(&first, out)?,
        Some(second) => compare(&first, &load(second)?, out)?,
    };
    match ok {
        true => Ok(()),
        false => Err(Failure::Told),
    }
}

fn load(path: &Path) -> Outcome<ProtocolDescriptor> {
    let at = |error: &dyn std::fmt::Display| Error::misuse(format!("{}: {error}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(|error| at(&error))?;
    file.take(MAX_FILE_LEN as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| at(&error))?;
    read(&text).map_err(|error| at(&error).into())
}

/// Whether nothing is refused.
fn findings(descriptor: &ProtocolDescriptor, out: &mut Output) -> Outcome<bool> {
    let findings = lint(descriptor);
    let refuses = |finding: &Finding| finding.severity == Severity::Refuse;
    for finding in &findings {
        let severity = if refuses(finding) { "refuse" } else { "warn" };
        let value = json!({
            "code": finding.code,
            "severity": severity,
            "message": finding.message,
        });
        out.object(&value, |_| {
            Some(show::harmless(&format!("{severity}: {finding}")))
        })?;
    }
    if findings.is_empty() {
        out.hint("Nothing to say against it.")?;
    }
    Ok(!findings.iter().any(refuses))
}

/// Whether the two can talk.
fn compare(
    first: &ProtocolDescriptor,
    second: &ProtocolDescriptor,
    out: &mut Output,
) -> Outcome<bool> {
    let common = Common::of(first, second);
    let ids = |ids: &[ProtocolId]| -> Vec<String> { ids.iter().map(ToString::to_string).collect() };
    let value = json!({
        "can_talk": common.can_talk(),
        "missing": common.missing(),
        "same": DescriptorDigest::of(first) == DescriptorDigest::of(second),
        "locators": common.locators,
        "delivery_service": ids(&common.delivery_services),
        "framing": ids(&common.framings),
        "discovery": ids(&common.discoveries),
        "initialization": ids(&common.initializations),
        "conversation": ids(&common.conversations),
    });
    out.object(&value, |value| Some(show::harmless(&in_common(value))))?;
    Ok(common.can_talk())
}

fn in_common(value: &Value) -> String {
    let list = |field: &str| -> Vec<&str> {
        let all = value[field].as_array();
        all.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    };
    let mut lines = Vec::new();
    for (choice, field) in [
        ("delivery service", "delivery_service"),
        ("framing", "framing"),
        ("discovery", "discovery"),
        ("initialization", "initialization"),
        ("conversation", "conversation"),
    ] {
        let common = match list(field) {
            common if common.is_empty() => "nothing in common".to_owned(),
            common => common.join(", "),
        };
        lines.push(format!("{choice:<18}{common}"));
    }
    if value["can_talk"] == false {
        let missing = list("missing").join(", ");
        lines.push(format!("They can't talk: no {missing} in common."));
        return lines.join("\n");
    }
    let first = |field: &str| list(field).first().copied().unwrap_or_default();
    lines.push(format!(
        "They can talk: the first one asks by {} and talks by {}.",
        first("initialization"),
        first("conversation")
    ));
    if list("locators").is_empty() {
        lines.push("They are on no common service: each has to reach one of the other.".to_owned());
    }
    if list("discovery").is_empty() {
        lines.push("No discovery is common: bundles have to be handed over.".to_owned());
    }
    lines.join("\n")
}
