//! The demo, and wrong usage.

use std::process::{Command, Output};

use serde_json::Value;

fn cf(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_cf");
    Command::new(program)
        .args(arguments)
        .output()
        .expect("the program was built")
}

#[test]
fn the_demo_goes_through_every_phase() {
    let output = cf(&["demo", "--json"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    let phases: Vec<_> = lines
        .iter()
        .filter_map(|line| line["phase"].as_str())
        .collect();
    let expected = [
        "The protocol",
        "Discovery",
        "Initialization",
        "Operation",
        "What the service saw",
        "Another version",
        "Done",
    ];
    assert_eq!(phases, expected);
    let supported: Vec<_> = lines
        .iter()
        .filter_map(|line| line["supported"].as_bool())
        .collect();
    assert_eq!(
        supported,
        [false, true],
        "kept without the component, replayed with it"
    );
}

#[test]
fn wrong_usage_says_so() {
    let output = cf(&["talk"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stderr.is_empty());
}
