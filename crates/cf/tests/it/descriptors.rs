//! Protocol descriptors as files, and the stock compositions under the linter.

use cf::core::{Component, Connector, ErrorKind, ProtocolDescriptor, ProtocolId};
use cf::descriptor::{DescriptorDigest, MAX_COMPONENTS, read, to_json, to_toml};
use cf::ds::MemoryService;
use cf::{Severity, lint};

fn odd() -> ProtocolDescriptor {
    let component = |id| Component::new(ProtocolId::from_static(id));
    ProtocolDescriptor {
        framings: vec![
            component("/example/framing/2")
                .with("a", "007")
                .with("b", "9223372036854775808")
                .with("c \"quoted\"\n= [", "é\u{0}\t'")
                .with("d", "")
                .with("e", "-1")
                .with("f", 7)
                .with("g", true),
            component("/example/framing/1"),
        ],
        conversations: vec![component("/example/18446744073709551616")],
        ..ProtocolDescriptor::default()
    }
}

/// Every preset opens: nothing is refused, and what is told is known.
#[tokio::test]
async fn presets_are_not_refused_and_come_back_from_their_files() {
    let client = cf::builder("Saro");
    let client = client.service(MemoryService::new("town").unwrap()).open();
    let folder = tempfile::tempdir().unwrap();
    let connector = cf::ds::LocalConnector::new(folder.path().join("local.db"));
    let local = connector.connect("local:");
    let local = cf::builder("Raya")
        .shared_service(local.await.unwrap())
        .open();
    for client in [client.unwrap(), local.unwrap()] {
        let descriptor = client.descriptor();
        let findings = lint(&descriptor);
        assert!(findings.iter().all(|one| one.severity == Severity::Warn));
        for file in [to_toml(&descriptor).unwrap(), to_json(&descriptor).unwrap()] {
            assert_eq!(read(&file).unwrap(), descriptor);
        }
    }
}

#[test]
fn any_descriptor_comes_back_from_its_file() {
    for file in [to_toml(&odd()).unwrap(), to_json(&odd()).unwrap()] {
        assert_eq!(read(&file).unwrap(), odd(), "{file}");
    }
}

/// SHA-256 over bytes that were put together by hand.
#[test]
fn the_digest_is_over_the_bytes_that_the_page_says() {
    let mut descriptor = ProtocolDescriptor::default();
    let framing = Component::new(ProtocolId::from_static("/x/1")).with("b", 2);
    descriptor.framings = vec![framing.with("a", "")];
    let bytes = b"\0\0\0\x10/cf/descriptor/1\0\0\0\x07framing\0\0\0\x04/x/1\0\0\0\x02\
        \0\0\0\x01a\0\0\0\0\0\0\0\x01b\0\0\0\x012";
    assert_eq!(descriptor.canonical_bytes(), bytes);
    assert_eq!(
        DescriptorDigest::of(&descriptor).to_string(),
        "bcf08c02a3683254d8c34a752af515a2345246c031a1e1f106dc989f8549d608"
    );
}

#[test]
fn whatever_differs_has_another_digest() {
    let digest = |change: fn(&mut ProtocolDescriptor)| {
        let mut descriptor = odd();
        change(&mut descriptor);
        DescriptorDigest::of(&descriptor).0
    };
    let all = [
        digest(|_| {}),
        digest(|d| d.framings.reverse()),
        digest(|d| d.discoveries.append(&mut d.conversations)),
        digest(|d| d.framings.truncate(1)),
        digest(|d| d.framings[0].parameters.clear()),
        digest(|d| {
            d.framings[1].parameters.insert("a".into(), "".into());
        }),
        digest(|d| {
            d.framings[0].parameters.insert("f".into(), "8".into());
        }),
    ];
    for (index, one) in all.iter().enumerate() {
        assert!(!all[..index].contains(one), "{index}");
    }
}

#[test]
fn what_is_no_descriptor_is_refused() {
    let format = "format = '/cf/descriptor/1'\n";
    let kind = |text: &str| read(text).unwrap_err().kind();
    let many = "[[framing]]\nid = '/x/1'\n".repeat(MAX_COMPONENTS + 1);
    let file = to_toml(&odd()).unwrap();
    let cases = [
        ("", ErrorKind::Malformed),
        ("{}", ErrorKind::Malformed),
        (
            "format = '/cf/descriptor/2'\nnew = 1",
            ErrorKind::Unsupported,
        ),
        (&format!("{format}more = 1"), ErrorKind::Malformed),
        (
            &format!("{format}[[framing]]\nid = 'x'"),
            ErrorKind::Malformed,
        ),
        (
            &format!("{format}[[framing]]\nid = '/x/1'\nversion = 2"),
            ErrorKind::Malformed,
        ),
        (
            &format!("{format}[[framing]]\nid = '/x/1'\nname = 2"),
            ErrorKind::Malformed,
        ),
        (
            &format!("{format}[[framing]]\nid = '/x/1'\nparameters.a = -1"),
            ErrorKind::Malformed,
        ),
        (
            &format!("{format}[[framing]]\nid = '/x/1'\nparameters.a = 0.5"),
            ErrorKind::Malformed,
        ),
        (
            &format!("{format}[[framing]]\nid = '/x/1'\nparameters.a = [1]"),
            ErrorKind::Malformed,
        ),
        (&format!("{format}{many}"), ErrorKind::Malformed),
        (
            &format!("{format}# {}", "x".repeat(256 * 1024)),
            ErrorKind::Malformed,
        ),
        (&"[".repeat(100_000), ErrorKind::Malformed),
        (
            &format!("{{\"a\":{}", "[".repeat(100_000)),
            ErrorKind::Malformed,
        ),
        (&file.replace("f = 7", "f = 8"), ErrorKind::Rejected),
    ];
    for (text, expected) in cases {
        assert_eq!(kind(text), expected, "{}", &text[..text.len().min(200)]);
    }
    assert!(read(format).is_ok());
}
