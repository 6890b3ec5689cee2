//! Every file of the corpus, once.

use std::fs;
use std::path::Path;

use cf_fuzz::TARGETS;

/// How large a target's corpus may be, in bytes.
const MAX_CORPUS_LEN: usize = 20 * 1024;

#[test]
fn every_target_takes_its_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in TARGETS {
        let folder = root.join(name);
        let mut len = 0;
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
        for file in files {
            let path = file.expect("a readable folder").path();
            let data = fs::read(&path).expect("a readable file");
            println!("{}", path.display());
            target(&data);
            len += data.len();
        }
        assert!(len > 0, "{name} has no corpus");
        assert!(len <= MAX_CORPUS_LEN, "the corpus of {name} is too large");
    }
}

#[test]
fn every_corpus_has_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for folder in fs::read_dir(root).expect("a corpus") {
        let name = folder.expect("a readable folder").file_name();
        assert!(
            TARGETS.iter().any(|(target, _)| *target == name),
            "{name:?}"
        );
    }
}
