//! The laws of [`cf_core::Store`].

use cf_store::MemoryStore;

cf_testkit::store_tests!(memory, || {
    let store = MemoryStore::new();
    move || store.clone()
});

#[cfg(feature = "sqlite")]
cf_testkit::store_tests!(sqlite, || {
    let folder = tempfile::tempdir().unwrap();
    let unlock = cf_store::Unlock::Key(cf_core::Secret::new(vec![7; 32]));
    move || {
        let path = folder.path().join("store");
        let options = cf_store::SqliteOptions::default();
        let opened = match path.exists() {
            true => cf_store::SqliteStore::open(&path, &unlock, options),
            false => cf_store::SqliteStore::create(&path, &unlock, options),
        };
        opened.unwrap()
    }
});
