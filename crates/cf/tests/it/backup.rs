//! A backup of the first version: every later one must make a home of it again.

use std::fs;
use std::path::Path;

use cf::backup_file::Cost;
use cf::core::{Connector, Content, ErrorKind, Secret, Timestamp};
use cf::ds::LocalConnector;
use cf::history::{ItemKind, Page};
use cf::{Client, EventKind, Home, LinkOptions};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/backup-1");
const CHEAP: Cost = Cost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

async fn open(home: &Home, folder: &Path) -> Client {
    let connector = LocalConnector::new(folder.join("service.db"));
    let service = connector.connect("local:").await.unwrap();
    home.builder().shared_service(service).open().unwrap()
}

async fn make(file: &Path, passphrase: &Secret) {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("saro"), folder.path().join("raya"));
    let saro_home = Home::create(&a, "Saro", None).unwrap();
    let raya_home = Home::create(&b, "Raya", None).unwrap();
    let (saro, raya) = (
        open(&saro_home, folder.path()).await,
        open(&raya_home, folder.path()).await,
    );
    let link = raya.link(LinkOptions::default()).await.unwrap();
    let talk = saro.add(&link).await.unwrap();
    let id = cf::content_id("golden").unwrap();
    saro.send(talk, id, "golden tea").await.unwrap();
    let chats = saro_home.chats(&saro).unwrap();
    chats.sync().await.unwrap();
    saro_home
        .backup_at(fs::File::create(file).unwrap(), passphrase, CHEAP)
        .unwrap();
}

/// `CF_GOLDEN=make` makes the file if it is missing; one that is there is never made
/// again.
#[tokio::test]
async fn every_later_version_restores_a_backup_of_version_1() {
    let passphrase = Secret::from(&b"golden tea"[..]);
    let golden = Path::new(FILE);
    if std::env::var("CF_GOLDEN").is_ok_and(|what| what == "make") && !golden.exists() {
        make(golden, &passphrase).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    let bytes = fs::read(golden).unwrap();
    let restore = |bytes: &[u8]| Home::restore(&place, bytes, &passphrase, None, Timestamp(1));
    // Whatever is wrong with it, nothing stands there.
    for cut in [0, 20, 36, 37, 60, bytes.len() / 2, bytes.len() - 1] {
        let error = restore(&bytes[..cut]).err().unwrap();
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::Malformed | ErrorKind::Rejected),
            "{cut}: {error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    let home = restore(&bytes).unwrap();
    assert_eq!(home.name(), "Saro");
    let client = open(&home, folder.path()).await;
    let chats = home.chats(&client).unwrap();
    chats.sync().await.unwrap();
    let list = chats.list(None, 10).await.unwrap();
    assert_eq!(list.len(), 1);
    let items = chats
        .page(list[0].conversation, Page::Newest, 10)
        .await
        .unwrap();
    let said = items.iter().any(|item| {
        matches!(&item.kind, ItemKind::Message { content: Content::Bytes(bytes), .. } if bytes == "golden tea")
    });
    assert!(said, "{items:?}");
    // Nobody had accepted: it is not known how Raya is asked again.
    let mut events = client.events_after(0);
    while !matches!(
        events.next().await.unwrap().unwrap().kind,
        EventKind::Broken { .. }
    ) {}
    assert!(restore(&bytes).is_err(), "a home is not replaced");
    client.shutdown().await;
}
