//! Inputs to start from: what honest clients make, and scripts that do a little
//! of everything.

use bytes::Bytes;
use cf_content::{Content, Reaction, Reference, Text};
use cf_core::{
    Advertisement, BundleSet, DiscoveryProtocol, Frame, FramingStrategy, ProtocolId, Random,
    RoutingTag, Timestamp,
};
use cf_testkit::SeededRandom;

use crate::meeting::{Meeting, invite};
use crate::scene::{NOW, block_on};
use crate::targets::TARGETS;

/// How long the scripts are, in bytes.
const SCRIPTS: [usize; 4] = [12, 90, 300, 900];

/// Target, name and bytes of every seed.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (target, _) in TARGETS {
        for (number, len) in SCRIPTS.iter().enumerate() {
            let mut bytes = vec![0; *len];
            SeededRandom::new(number as u64).fill(&mut bytes);
            seeds.push((*target, format!("script-{number}"), bytes));
        }
    }
    let mut add = |target, name: &str, parts: &[&[u8]]| {
        seeds.push((target, name.to_owned(), parts.concat()));
    };
    let frame = Frame::new(RoutingTag([7; 16]), "hello");
    let payload = cf_framing::Tagged.encode(&frame, 1024);
    add("framing_tagged", "real", &[&payload.expect("it fits")]);
    let payload = cf_framing::Wap.encode(&frame, 1024);
    add("framing_wap", "real", &[&[0], &payload.expect("it fits")]);
    for (name, bytes) in contents() {
        add("content", name, &[&[7], &bytes]);
    }
    let (link, content) = link();
    add("discovery_link", "text", &[&[0], link.as_bytes()]);
    add("discovery_link", "content", &[&[1], &content]);
    for query in [
        "raya",
        "memory:town",
        "tcp://host:7/path",
        "/cf/framing/tagged/1",
    ] {
        let name = query.replace([':', '/'], "-");
        add("discovery_static", &name, &[query.as_bytes()]);
    }
    let locator: &[u8] = b"nats://example.org:4222";
    add("discovery_short_link", "text", &[&[1], locator]);
    let signed = publication(&content);
    add("discovery_short_link", "signed", &[&[3], &part(&signed)]);
    add("discovery_directory", "text", &[&[1], b"Raya@", locator]);
    let signed = claim(&content);
    add("discovery_directory", "signed", &[&[3], &part(&signed)]);
    let inbox = Meeting::of_inbox();
    // The field of the signed bytes has two bytes of length, and the signature
    // takes the last 66.
    let bundle = &inbox.bundle[3..inbox.bundle.len() - 66];
    add("inbox_bundle", "signed", &[&[1], bundle]);
    add("inbox_bundle", "raw", &[&[0], &inbox.bundle]);
    add("psk", "invite", &[&[2, 0, 2], &part(&invite_message())]);
    add("psk", "bundle", &[&[1], &bundle_message()]);
    seeds
}

/// With its length before it, as a script reads it.
fn part(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a short seed");
    [&len.to_be_bytes()[..], bytes].concat()
}

fn contents() -> Vec<(&'static str, Bytes)> {
    let reference = Reference {
        author: None,
        id: cf_core::ContentId::new("1").expect("an id"),
    };
    let reaction = Reaction {
        to: reference,
        reaction: "+1".into(),
        removed: false,
    };
    let contents = [
        ("text", Content::Text(Text::from("Hello, Raya"))),
        ("reaction", Content::Reaction(reaction)),
    ];
    contents
        .map(|(name, content)| (name, content.encode().expect("a good content")))
        .to_vec()
}

/// A link, and its content.
fn link() -> (String, Vec<u8>) {
    let id = ProtocolId::from_static("/example/init/1");
    let advertisement = Advertisement {
        bundles: BundleSet::new(vec![(id, "bundle".into())]).expect("a set"),
        expires_at: Timestamp(NOW.0 + 1_000),
        generation: 1,
        state: None,
        now: NOW,
        seed: [0; 32],
    };
    let link = block_on(cf_discovery::Link.advertise(advertisement));
    let link = link.expect("a small link").query;
    let packed = &link[cf_discovery::Link::PREFIX.len()..];
    let packed = data_encoding::BASE64URL_NOPAD.decode(packed.as_bytes());
    (link, packed.expect("its own link")[12..].to_vec())
}

/// Encodes a field of bytes.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::bytes::encode(number, &bytes.to_vec(), &mut field);
    field
}

fn time(number: u32, at: Timestamp) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::uint64::encode(number, &at.0, &mut field);
    field
}

/// What the owner of a short link signs.
fn publication(content: &[u8]) -> Vec<u8> {
    let owner = crate::meeting::identity(1);
    [
        field(1, owner.id().as_bytes()),
        time(2, Timestamp(1)),
        field(3, content),
    ]
    .concat()
}

/// What somebody signs who claims a name.
fn claim(content: &[u8]) -> Vec<u8> {
    let owner = crate::meeting::identity(1);
    [
        field(1, owner.id().as_bytes()),
        field(2, b"raya"),
        time(3, NOW),
        time(4, Timestamp(1)),
        field(5, content),
    ]
    .concat()
}

fn point() -> Vec<u8> {
    [
        field(1, b"memory:fuzz"),
        field(2, b"link"),
        field(3, b"/cf/framing/tagged/1"),
    ]
    .concat()
}

fn invite_message() -> Vec<u8> {
    let invite = invite(9);
    [
        field(1, invite.id.as_bytes()),
        field(2, invite.conversation.as_bytes()),
        field(3, invite.conversation_protocol.as_str().as_bytes()),
        field(5, &invite.parameters),
        field(7, b"/cf/conversation/private/1"),
        field(8, &point()),
        time(10, NOW),
        field(11, b"Saro"),
    ]
    .concat()
}

fn bundle_message() -> Vec<u8> {
    [
        field(1, &[1; 16]),
        time(2, Timestamp(1)),
        field(4, &point()),
        field(6, b"/cf/conversation/private/1"),
        field(7, b"Raya"),
        time(8, NOW),
    ]
    .concat()
}
