//! The documents name things that exist.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{read, root, sources};

/// The trace from the specification to the code.
const TRACE: &str = "docs/spec.md";

#[test]
fn the_trace_names_tests_that_exist() {
    let text = read(TRACE);
    let tests: Vec<_> = code_spans(&text).filter(|s| s.contains(".rs::")).collect();
    assert!(tests.len() > 10, "only {tests:?}");
    let missing: Vec<_> = tests.into_iter().filter(|name| !has_test(name)).collect();
    assert!(missing.is_empty(), "{TRACE} names {missing:?}");
}

#[test]
fn the_trace_names_types_that_exist() {
    let words = words();
    let text = read(TRACE);
    let names: Vec<_> = code_spans(&text)
        .filter(|span| span.starts_with(char::is_uppercase) && !span.contains(' '))
        .collect();
    assert!(names.len() > 10, "only {names:?}");
    let missing: Vec<_> = names
        .into_iter()
        .filter(|name| !has_words(&words, name))
        .collect();
    assert!(missing.is_empty(), "{TRACE} names {missing:?}");
}

#[test]
fn a_name_without_a_thing_is_found() {
    assert!(has_test(
        "xtask/tests/it/documents.rs::a_name_without_a_thing_is_found"
    ));
    assert!(!has_test("xtask/tests/it/documents.rs::a_name"));
    assert!(!has_test("xtask/tests/it/nowhere.rs::a_name"));
    assert!(!has_test("xtask/tests/it/documents.rs::has_test"));
    assert!(is_declared(&root().join("xtask/tests/it/sources.rs")));
    assert!(!is_declared(&root().join("xtask/tests/it/undeclared.rs")));
    assert!(has_words(&words(), "Subscription::add"));
    assert!(!has_words(&words(), "Subscription::ad"));
}

#[test]
fn links_lead_somewhere() {
    let mut documents = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/adr", "docs/spec"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                documents.push(format!("{folder}/{name}"));
            }
        }
    }
    for document in documents {
        let folder = root().join(&document).parent().unwrap().to_owned();
        for target in links(&read(&document)) {
            let path = target.split('#').next().unwrap();
            let exists = path.is_empty() || folder.join(path).exists();
            assert!(
                exists || target.contains("://"),
                "{document} links to {target}"
            );
        }
    }
}

/// Whether `<path>.rs::<function>` is a test that runs; a path without `xtask` in
/// front is within `crates`.
fn has_test(name: &str) -> bool {
    let (path, function) = name.split_once("::").unwrap();
    let path = if path.starts_with("xtask/") {
        root().join(path)
    } else {
        root().join("crates").join(path)
    };
    let Ok(text) = fs::read_to_string(&path) else {
        return false;
    };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let declaration = format!("fn {function}(");
    let is_test = lines.iter().enumerate().any(|(index, line)| {
        let before = lines[..index].iter().rev();
        let mut before = before.take_while(|l| l.starts_with("#[") || l.starts_with("//"));
        line.trim_start_matches("async ").starts_with(&declaration)
            && before.any(|l| l.starts_with("#[") && l.contains("test"))
    });
    // A macro makes tests of the functions that it lists.
    let makes_tests = text.contains("::test(") || text.contains("law_tests!");
    let is_listed = text.contains("macro_rules!") && makes_tests && lines.contains(&function);
    (is_test || is_listed) && is_declared(&path)
}

/// Whether this file is compiled: the root of a target, or declared by the module
/// above it.
fn is_declared(path: &Path) -> bool {
    if path.ends_with("main.rs") || path.ends_with("lib.rs") {
        return true;
    }
    let folder = path.parent().unwrap();
    if path.ends_with("mod.rs") {
        return is_declared(&folder.with_extension("rs"));
    }
    let declaration = format!("mod {};", path.file_stem().unwrap().to_str().unwrap());
    let above = ["main.rs", "lib.rs", "mod.rs"].map(|name| folder.join(name));
    let above = above.into_iter().chain([folder.with_extension("rs")]);
    above
        .filter_map(|file| fs::read_to_string(file).ok())
        .any(|text| text.lines().any(|line| line.trim().ends_with(&declaration)))
}

/// Whether every part of `Type::method` is a word of the contracts or the client.
fn has_words(words: &HashSet<String>, name: &str) -> bool {
    name.split("::").all(|part| words.contains(part))
}

/// All words of the sources of cf-core and cf-client.
fn words() -> HashSet<String> {
    let is_asked = |path: &PathBuf| {
        path.starts_with("crates/cf-core/src") || path.starts_with("crates/cf-client/src")
    };
    let mut words = HashSet::new();
    for path in sources().into_iter().filter(is_asked) {
        let text = read(path.to_str().unwrap());
        let found = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.extend(found.map(str::to_owned));
    }
    words
}

/// What stands between single backticks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// What stands in parentheses after square brackets.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}
