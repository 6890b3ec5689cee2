//! A home of the first version: every later one must open it and go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cf::core::{Connector, ContentState};
use cf::ds::LocalConnector;
use cf::{Client, EventKind, Home};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/home-1");
const FILES: [&str; 5] = [
    "saro/store.db",
    "saro/key",
    "raya/store.db",
    "raya/key",
    "service.db",
];

async fn open(folder: &Path, who: &str) -> Client {
    let home = Home::open(&folder.join(who), None).unwrap();
    let service = LocalConnector::new(folder.join("service.db"))
        .connect("local:")
        .await
        .unwrap();
    home.builder().shared_service(service).open().unwrap()
}

async fn texts(client: &Client, count: usize) -> Vec<String> {
    let (mut events, mut texts) = (client.events_after(0), Vec::new());
    while texts.len() < count {
        if let EventKind::Message {
            content: cf::core::Content::Bytes(content),
            ..
        } = events.next().await.unwrap().unwrap().kind
        {
            texts.push(String::from_utf8(content.to_vec()).unwrap());
        }
    }
    texts
}

/// `CF_GOLDEN=make` makes the files if they are missing; those that are there are
/// never made again.
#[tokio::test]
async fn every_later_version_opens_a_home_of_version_1_and_goes_on() {
    let golden = Path::new(FOLDER);
    if std::env::var("CF_GOLDEN").is_ok_and(|what| what == "make") && !golden.exists() {
        make(golden).await;
    }
    let folder = tempfile::tempdir().unwrap();
    copy(golden, folder.path());
    let opened = tokio::time::timeout(Duration::from_secs(30), check(folder.path())).await;
    opened.expect("it goes on within 30 s");
}

async fn check(folder: &Path) {
    let (saro, raya) = (open(folder, "saro").await, open(folder, "raya").await);
    let talk = saro.conversations().await.unwrap().remove(0);
    assert_eq!(talk.name, "Raya");
    assert_eq!(texts(&saro, 1).await, ["hello from Raya"]);
    assert_eq!(texts(&raya, 1).await, ["hello from Saro"]);
    let mut asked = Vec::new();
    for event in raya.events_after(0).next_all().await.unwrap() {
        if let EventKind::Request(request) = event.kind {
            asked.push(request.name);
        }
    }
    assert_eq!(asked, ["Saro", "Oscar"]);
    // What depends on the time that has passed since is not asked for.
    let id = cf::content_id("golden").unwrap();
    saro.send(talk.id, id.clone(), "and on").await.unwrap();
    assert_eq!(texts(&raya, 2).await[1], "and on");
    while saro.state(talk.id, id.clone()).await.unwrap() != Some(ContentState::Delivered) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn make(golden: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (who, name) in [("saro", "Saro"), ("raya", "Raya"), ("oscar", "Oscar")] {
        Home::create(&path.join(who), name, None).unwrap();
    }
    let (saro, raya) = (open(path, "saro").await, open(path, "raya").await);
    let oscar = open(path, "oscar").await;
    let link = raya.link(Default::default()).await.unwrap();
    let talk = saro.add(&link).await.unwrap();
    let mut events = raya.events().unwrap();
    let request = loop {
        if let EventKind::Request(request) = events.next().await.unwrap().unwrap().kind {
            break request;
        }
    };
    let at_raya = raya.accept(request.id).await.unwrap();
    let id = |text: &str| cf::content_id(text).unwrap();
    saro.send(talk, id("1"), "hello from Saro").await.unwrap();
    texts(&raya, 1).await;
    raya.send(at_raya, id("1"), "hello from Raya")
        .await
        .unwrap();
    texts(&saro, 1).await;
    oscar.add(&link).await.unwrap();
    while raya.requests().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for client in [saro, raya, oscar] {
        client.shutdown().await;
    }
    drop(events);
    for file in FILES.iter().filter(|file| file.ends_with(".db")) {
        // Closed, it is one file.
        while path.join(format!("{file}-wal")).exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    copy(path, golden);
}

fn copy(from: &Path, to: &Path) {
    for file in FILES {
        let target: PathBuf = to.join(file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(file), &target).unwrap();
    }
}
