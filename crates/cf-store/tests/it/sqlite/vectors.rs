//! Stores that an independent script wrote open here.

use cf_core::{Scan, Secret, Store};
use cf_store::{SqliteOptions, SqliteStore, Unlock};
use data_encoding::HEXLOWER;
use rusqlite::{Connection, params};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../../docs/spec/vectors/store-sqlite-1.json");

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

#[test]
fn stores_of_another_implementation_open() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let stores = vectors["stores"].as_array().unwrap();
    assert_eq!(stores.len(), 2);
    for expected in stores {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        write(&Connection::open(&path).unwrap(), &vectors, expected);
        let secret = Secret::new(hex(&expected["secret"]));
        let unlock = match expected["unlock"].as_str().unwrap() {
            "key" => Unlock::Key(secret),
            _ => Unlock::Passphrase(secret),
        };
        let store = SqliteStore::open(&path, &unlock, SqliteOptions::default()).unwrap();
        let rows = expected["rows"].as_array().unwrap();
        assert!(rows.len() > 4);
        for row in rows {
            let (namespace, key) = (hex(&row["namespace"]), hex(&row["key"]));
            assert_eq!(
                store.get(&namespace, &key).unwrap().unwrap(),
                hex(&row["value"])
            );
            let all = store.scan(&namespace, &Scan::prefix("")).unwrap();
            assert!(all.iter().any(|(found, _)| *found == key));
        }
    }
}

fn write(connection: &Connection, vectors: &Value, store: &Value) {
    for table in vectors["schema"].as_array().unwrap() {
        connection.execute(table.as_str().unwrap(), []).unwrap();
    }
    for pragma in ["application_id", "user_version"] {
        let value = vectors[pragma].as_i64().unwrap();
        connection.pragma_update(None, pragma, value).unwrap();
    }
    let master = params![
        store["unlock"].as_str(),
        store["memory_kib"].as_i64(),
        store["passes"].as_i64(),
        store["lanes"].as_i64(),
        hex(&store["salt"]),
        hex(&store["sealed"]),
    ];
    connection
        .execute("INSERT INTO master VALUES (?, ?, ?, ?, ?, ?)", master)
        .unwrap();
    for row in store["rows"].as_array().unwrap() {
        let values = params![hex(&row["place"]), hex(&row["entry"])];
        connection
            .execute("INSERT INTO entries VALUES (?, ?)", values)
            .unwrap();
    }
}
