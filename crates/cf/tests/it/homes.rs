use cf::Home;
use cf::core::{ErrorKind, Secret};
use cf::ds::MemoryService;

#[test]
fn a_home_is_whole_or_can_be_finished() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    assert_eq!(
        Home::open(&home, None).err().unwrap().kind(),
        ErrorKind::Misuse
    );
    assert_eq!(
        Home::create(&home, " ", None).err().unwrap().kind(),
        ErrorKind::Misuse
    );
    drop(Home::create(&home, "Saro", None).unwrap());
    assert_eq!(
        Home::create(&home, "Saro", None).err().unwrap().kind(),
        ErrorKind::Misuse
    );

    // Killed after the store was made and before anything was in it.
    let half = folder.path().join("half");
    std::fs::create_dir(&half).unwrap();
    let unlock = cf::store::Unlock::Key(cf::store::KeyFile::open(&half.join("key")).unwrap());
    drop(
        cf::store::SqliteStore::create(&half.join("store.db"), &unlock, Default::default())
            .unwrap(),
    );
    assert_eq!(
        Home::open(&half, None).err().unwrap().kind(),
        ErrorKind::Misuse
    );
    drop(Home::create(&half, "Saro", None).unwrap());
    Home::open(&half, None).unwrap();

    // Killed while the store was made: a database without a table.
    let begun = folder.path().join("begun");
    std::fs::create_dir(&begun).unwrap();
    cf::store::KeyFile::open(&begun.join("key")).unwrap();
    let database = rusqlite::Connection::open(begun.join("store.db")).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    drop(database);
    assert!(std::fs::metadata(begun.join("store.db")).unwrap().len() > 0);
    drop(Home::create(&begun, "Saro", None).unwrap());
    Home::open(&begun, None).unwrap();
}

/// A key file and a passphrase never stand for one home.
#[test]
fn a_home_has_a_key_file_or_a_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = || Some(Secret::from(&b"tea"[..]));
    let kind = |home: cf::core::Result<Home>| home.err().unwrap().kind();
    let home = folder.path().join("with a passphrase");
    drop(Home::create(&home, "Saro", passphrase()).unwrap());
    assert_eq!(kind(Home::create(&home, "Saro", None)), ErrorKind::Misuse);
    drop(Home::open(&home, passphrase()).unwrap());
    let home = folder.path().join("with a stray key");
    std::fs::create_dir(&home).unwrap();
    cf::store::KeyFile::open(&home.join("key")).unwrap();
    assert_eq!(
        kind(Home::create(&home, "Saro", passphrase())),
        ErrorKind::Misuse
    );
    drop(Home::create(&home, "Saro", None).unwrap());
    drop(Home::open(&home, None).unwrap());
}

#[tokio::test]
async fn a_busy_home_says_so_until_its_client_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::create(folder.path(), "Saro", None).unwrap();
    let client = home
        .builder()
        .service(MemoryService::new("busy").unwrap())
        .open()
        .unwrap();
    drop(home);
    let error = Home::open(folder.path(), None).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    client.shutdown().await;
    Home::open(folder.path(), None).unwrap();
}

#[test]
fn a_passphrase_is_asked_for_where_there_is_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = |text: &str| Some(Secret::from(text.as_bytes()));
    drop(Home::create(folder.path(), "Saro", passphrase("tea")).unwrap());
    assert!(Home::needs_passphrase(folder.path()));
    assert_eq!(
        Home::open(folder.path(), None).err().unwrap().kind(),
        ErrorKind::Misuse
    );
    let wrong = Home::open(folder.path(), passphrase("coffee"))
        .err()
        .unwrap();
    assert_eq!(wrong.kind(), ErrorKind::Rejected);
    // Another test's process may hold the lock open until it has begun.
    let home = loop {
        match Home::open(folder.path(), passphrase("tea")) {
            Err(error) if error.is_retryable() => std::thread::yield_now(),
            home => break home.unwrap(),
        }
    };
    assert_eq!(home.name(), "Saro");
}
