//! Which crate may depend on which.

use std::process::Command;

use crate::{read, root};

#[test]
fn crates_depend_on_what_they_may() {
    let edges = edges();
    assert!(edges.len() > 20, "cargo metadata gave {}", edges.len());
    let broken: Vec<_> = edges.iter().filter_map(broken_rule).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_rule_refuses_bad_edges() {
    let is_refused = |from, kind, to| broken_rule(&Edge::new(from, kind, to)).is_some();
    for (from, kind, to) in [
        ("cf-client", Kind::Normal, "cf-conversation"),
        ("cf-init", Kind::Normal, "cf-identity"),
        ("cf-ds-nats", Kind::Normal, "cf-ds"),
        ("cf-ds", Kind::Build, "cf-framing"),
        ("cf-testkit", Kind::Normal, "cf-ds"),
        ("cf-testkit", Kind::Dev, "cf-ds"),
        ("cf-core", Kind::Normal, "tokio"),
        ("cf-core", Kind::Dev, "cf-testkit"),
        ("cf", Kind::Normal, "cf-testkit"),
        ("cf", Kind::Normal, "cf-cli"),
        ("cf-cli", Kind::Normal, "cf-client"),
        ("cf-sim", Kind::Normal, "cf-conversation"),
        ("cf", Kind::Normal, "cf-sim"),
        ("xtask", Kind::Dev, "cf-core"),
    ] {
        assert!(is_refused(from, kind, to), "{from} → {to}");
    }
    for (from, kind, to) in [
        ("cf-client", Kind::Normal, "cf-core"),
        ("cf-client", Kind::Dev, "cf-conversation"),
        ("cf-ds", Kind::Normal, "tokio"),
        ("cf-core", Kind::Normal, "futures-core"),
        ("cf", Kind::Normal, "cf-ds-nats"),
        ("cf-cli", Kind::Normal, "cf"),
        ("xtask", Kind::Normal, "protox"),
    ] {
        assert!(!is_refused(from, kind, to), "{from} → {to}");
    }
}

#[test]
fn contracts_and_framing_need_no_runtime_and_no_database() {
    for package in ["cf-core", "cf-framing"] {
        let tree = cargo(&["tree", "-p", package, "-e", "normal", "--prefix", "none"]);
        assert!(tree.starts_with(package), "{tree}");
        for line in tree.lines() {
            let name = line.split_whitespace().next().unwrap_or_default();
            let is_heavy = name.starts_with("tokio") || name.contains("sqlite");
            assert!(!is_heavy, "{package} depends on {name}");
        }
    }
}

#[test]
fn every_crate_has_the_workspace_lints() {
    for name in packages() {
        let manifest = read(&manifest(&name));
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{name} lacks `[lints] workspace = true`"
        );
    }
}

#[test]
fn the_architecture_lists_every_crate() {
    let text = read("docs/architecture.md");
    for name in packages() {
        assert!(text.contains(&format!("`{name}`")), "{name} is not listed");
    }
}

/// What is wrong with a dependency, if something is.
fn broken_rule(edge: &Edge) -> Option<String> {
    let (from, to) = (edge.from.as_str(), edge.to.as_str());
    let is_ours = to == "cf" || to.starts_with("cf-");
    let is_dev = edge.kind == Kind::Dev;
    let allowed = match from {
        "xtask" => !is_ours,
        "cf-core" if is_dev => !is_ours,
        "cf-core" => ["bytes", "zeroize", "futures-core"].contains(&to),
        "cf-testkit" => !is_ours || to == "cf-core",
        _ if is_dev || !is_ours => true,
        "cf-cli" => to == "cf",
        // Nothing depends on it but tests.
        "cf-sim" => ["cf-core", "cf-client", "cf-testkit"].contains(&to),
        "cf" => !["cf-cli", "cf-testkit", "cf-sim"].contains(&to),
        _ => to == "cf-core",
    };
    (!allowed).then(|| format!("{from} may not depend on {to}: see docs/architecture.md"))
}

struct Edge {
    from: String,
    kind: Kind,
    to: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Normal,
    Build,
    Dev,
}

impl Edge {
    fn new(from: &str, kind: Kind, to: &str) -> Self {
        Self {
            from: from.to_owned(),
            kind,
            to: to.to_owned(),
        }
    }
}

fn edges() -> Vec<Edge> {
    let mut edges = Vec::new();
    for package in metadata()["packages"].as_array().unwrap() {
        let from = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let kind = match dependency["kind"].as_str() {
                None => Kind::Normal,
                Some("build") => Kind::Build,
                Some(_) => Kind::Dev,
            };
            edges.push(Edge::new(from, kind, dependency["name"].as_str().unwrap()));
        }
    }
    edges
}

pub(crate) fn packages() -> Vec<String> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| package["name"].as_str().unwrap().to_owned())
        .collect()
}

fn manifest(package: &str) -> String {
    match package {
        "xtask" => "xtask/Cargo.toml".to_owned(),
        _ => format!("crates/{package}/Cargo.toml"),
    }
}

fn metadata() -> serde_json::Value {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    serde_json::from_str(&text).unwrap()
}

fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(args)
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
