//! The shape of the sources.

use crate::{read, sources};

/// The longest source file, in lines.
const MAX_LINES: usize = 600;

#[test]
fn no_source_is_too_long() {
    let sources = sources();
    assert!(sources.len() > 20, "found only {sources:?}");
    for path in sources {
        let path = path.to_str().unwrap();
        let lines = read(path).lines().count();
        assert!(lines <= MAX_LINES, "{path} has {lines} lines");
    }
}

#[test]
fn no_name_says_nothing() {
    for path in sources() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_empty_word = ["utils", "util", "common", "helpers", "helper", "manager"];
        assert!(!is_empty_word.contains(&name), "{}", path.display());
    }
}
