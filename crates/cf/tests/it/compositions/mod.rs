//! Every framing with every delivery service, discovery, initialization and conversation:
//! `docs/compositions.md` says what each gives, and is made by `cargo xtask compositions`.

mod scenario;
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use table::{Composition, Kind};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// Everything in the workspace that has a name is in the table, or is said to be apart.
#[test]
fn the_table_has_every_component() {
    let mut named = BTreeSet::new();
    for kind in Kind::ALL {
        let prefix = format!("\"/cf/{}/", kind.path());
        for package in std::fs::read_dir(root().join("crates")).unwrap() {
            names(&package.unwrap().path().join("src"), &prefix, &mut named);
        }
    }
    let listed = table::listed();
    let missing: Vec<_> = named.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    let gone: Vec<_> = listed.difference(&named).collect();
    assert!(gone.is_empty(), "in the table, and nowhere else: {gone:?}");
}

/// The ids of protocols in source files.
fn names(folder: &Path, prefix: &str, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names(&path, prefix, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for (at, _) in text.match_indices(prefix) {
                let id: &str = text[at + 1..].split('"').next().unwrap();
                let version = id.rsplit('/').next().unwrap();
                // What goes on is a label; a version of ten digits is one that there is not.
                if version.len() < 10 && version.bytes().all(|byte| byte.is_ascii_digit()) {
                    into.insert(id.to_owned());
                }
            }
        }
    }
}

/// The document says what the linter says.
#[test]
fn the_document_is_fresh() {
    let path = root().join("docs/compositions.md");
    let fresh = table::document();
    if std::env::var("CF_GOLDEN").is_ok_and(|what| what == "make") {
        std::fs::write(&path, &fresh).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "run `cargo xtask compositions`");
}

/// What the document says works does: first contact, talk, restart, talk, upgrade, on a
/// kind network and on a faulty one. A part of them, unless `CF_COMPOSITIONS` is set.
#[test]
fn compositions_work_as_the_document_says() {
    let all = Composition::all();
    let every = if is_set("CF_COMPOSITIONS") { 1 } else { 23 };
    let works = all
        .into_iter()
        .filter(|composition| composition.refused().is_empty());
    let chosen: Vec<_> = works.step_by(every).collect();
    assert!(chosen.len() > 5, "{} were chosen", chosen.len());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(composition) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    scenario::run(composition, false);
                    scenario::run(composition, true);
                }
            });
        }
    });
    println!("{} compositions, on two networks each", chosen.len());
}
