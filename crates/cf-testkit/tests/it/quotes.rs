//! Every law quotes a sentence that stands in the documentation of cf-core.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use cf_testkit::Law;

fn all() -> Vec<Law> {
    [
        cf_testkit::conversation::law::ALL,
        cf_testkit::delivery::law::ALL,
        cf_testkit::discovery::law::ALL,
        cf_testkit::framing::law::ALL,
        cf_testkit::identity::law::ALL,
        cf_testkit::initialization::law::ALL,
        cf_testkit::store::law::ALL,
    ]
    .concat()
}

#[test]
fn every_law_quotes_its_contract() {
    let text = documentation();
    for law in all() {
        assert!(text.contains(law.sentence), "cf-core does not say: {law}");
    }
}

#[test]
fn every_contract_that_a_law_names_is_there() {
    let mut code = String::new();
    for source in sources() {
        code += &source;
    }
    for law in all() {
        let declared = ["trait", "struct", "enum"]
            .iter()
            .any(|kind| code.contains(&format!("pub {kind} {}", law.contract)))
            || code.contains(&format!("    {}\n", law.contract));
        assert!(declared, "cf-core has no {}", law.contract);
    }
}

#[test]
fn no_two_laws_of_a_contract_have_one_name() {
    let mut names = HashSet::new();
    for law in all() {
        assert!(names.insert((law.contract, law.name)), "{law}");
    }
}

/// The comments of cf-core as running text, without links and emphasis.
fn documentation() -> String {
    let mut text = String::new();
    for source in sources() {
        for line in source.lines() {
            let line = line.trim();
            let comment = line.strip_prefix("///").or(line.strip_prefix("//!"));
            if let Some(comment) = comment {
                text += " ";
                text += comment.trim().trim_start_matches("- ");
            }
        }
    }
    without_links(&text.replace("**", ""))
}

/// `[name](target)` and `[name]` become `name`.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['[', ']']) {
        out += &rest[..at];
        let is_end = rest[at..].starts_with(']');
        rest = &rest[at + 1..];
        if is_end && let Some(target) = rest.strip_prefix('(') {
            rest = target.split_once(')').map_or("", |(_, after)| after);
        }
    }
    out + rest
}

fn sources() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cf-core/src");
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect()
}
