use std::fs;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sha2::{Digest, Sha256};

use super::cursor::Incarnation;
use crate::Error;

/// Says in a file's header that it is of this service: "cfDS".
const APPLICATION: i32 = i32::from_be_bytes(*b"cfDS");
/// The version of the tables below.
const VERSION: i32 = 1;

const TABLES: &str = "
CREATE TABLE service (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL,
    incarnation BLOB NOT NULL,
    accepted INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    addresses INTEGER NOT NULL,
    ids INTEGER NOT NULL
) STRICT;
CREATE TABLE address (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    last INTEGER NOT NULL
) STRICT;
CREATE TABLE payload (
    number INTEGER PRIMARY KEY,
    address INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (address, sequence)
) STRICT;
CREATE TABLE publish (
    number INTEGER PRIMARY KEY,
    address INTEGER NOT NULL,
    id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (address, id)
) STRICT;
";

/// Checks that a file is of this service, without changing one that is not, and
/// makes the tables in an empty one. Answers its id and incarnation.
pub(super) fn check(
    connection: &mut Connection,
    path: &Path,
) -> Result<([u8; 16], Incarnation), Error> {
    if state(connection)? == State::Empty {
        write_ahead(connection)?;
        create(connection, path)?;
    }
    if connection.is_readonly("main")? {
        return Err(Error::ReadOnly);
    }
    write_ahead(connection)?;
    let row = connection.query_row("SELECT id, incarnation FROM service", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let (id, incarnation) = row.optional()?.ok_or(Error::DamagedFile)?;
    Ok((id, Incarnation(incarnation)))
}

#[derive(PartialEq)]
enum State {
    Empty,
    Ours,
}

fn state(connection: &Connection) -> Result<State, Error> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (number("application_id")?, number("user_version")?) {
        (0, 0) if tables == 0 => Ok(State::Empty),
        (APPLICATION, VERSION) => Ok(State::Ours),
        (APPLICATION, version) if version > VERSION => Err(Error::NewerFile {
            version,
            known: VERSION,
        }),
        (APPLICATION, _) => Err(Error::DamagedFile),
        _ => Err(Error::ForeignFile),
    }
}

/// Makes readers and writers not wait for each other.
fn write_ahead(connection: &Connection) -> Result<(), Error> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    match mode.as_str() {
        "wal" => Ok(()),
        _ => Err(Error::CannotOpen),
    }
}

fn create(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been first.
    if state(&transaction)? == State::Ours {
        return Ok(());
    }
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO service VALUES (1, ?1, ?2, 0, 0, 0, 0)",
        (derived_id(path), Incarnation::draw()?.0),
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// The id of a new file: the same when it is made at the same place again.
fn derived_id(path: &Path) -> [u8; 16] {
    let hash = Sha256::new()
        .chain_update(b"/cf/ds/local/1 id")
        .chain_update([0])
        .chain_update(fs::read("/etc/machine-id").unwrap_or_default())
        .chain_update([0])
        .chain_update(path.as_os_str().as_encoded_bytes())
        .finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id
}
