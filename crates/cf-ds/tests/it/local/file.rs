use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cf_core::{Condition, DeliveryService, ErrorKind, Outcome, PublishRequest, Start};
use cf_ds::{Error, LocalService};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::time::sleep;

use super::{LocalOptions, all, check_integrity, next, open, publish, sequence, subscribe};
use crate::{accepted, address};

fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("town.db");
    (directory, path)
}

/// Makes a file with one payload, and closes it.
async fn make(path: &Path) {
    publish(&open(path, LocalOptions::default()), "a", "first").await;
}

fn options() -> LocalOptions {
    LocalOptions {
        busy_timeout: Duration::from_secs(2),
        ..LocalOptions::default()
    }
}

/// Checks that opening fails with `error` of `kind`, and that the file stays as
/// it was.
fn check_refused(path: &Path, kind: ErrorKind, error: Error) {
    let before = fs::read(path).unwrap();
    let refused = LocalService::with_options(path, options()).unwrap_err();
    assert_eq!(refused.to_string(), error.to_string());
    assert_eq!(refused.kind(), kind);
    assert_eq!(fs::read(path).unwrap(), before, "the file was changed");
}

#[tokio::test]
async fn what_is_not_of_the_service_is_refused_and_left_alone() {
    let (_directory, path) = place();
    fs::write(&path, "Dear diary, ".repeat(1000)).unwrap();
    check_refused(&path, ErrorKind::Misuse, Error::ForeignFile);

    fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE diary (day)").unwrap();
    drop(other);
    check_refused(&path, ErrorKind::Misuse, Error::ForeignFile);
    assert!(!path.with_extension("db-wal").exists());
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let (_directory, path) = place();
    make(&path).await;
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 2).unwrap();
    drop(newer);
    let error = Error::NewerFile {
        version: 2,
        known: 1,
    };
    check_refused(&path, ErrorKind::Unsupported, error);
}

#[tokio::test]
async fn a_truncated_file_is_damaged() {
    for len in [100, 4096, 5000, 12_288] {
        let (_directory, path) = place();
        make(&path).await;
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(len).unwrap();
        check_refused(&path, ErrorKind::Malformed, Error::DamagedFile);
        // What the message says to do helps.
        fs::rename(&path, path.with_extension("old")).unwrap();
        make(&path).await;
    }
}

#[tokio::test]
async fn a_file_overwritten_in_use_gives_typed_errors_and_no_panic() {
    let (_directory, path) = place();
    let service = open(&path, options());
    let mut subscription = subscribe(&service, "a", Start::Earliest).await;
    for n in 0..100 {
        publish(&service, "a", vec![n; 3000]).await;
    }
    // Nothing of it is in the log any more.
    let connection = Connection::open(&path).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    let len = fs::metadata(&path).unwrap().len() as usize;
    fs::write(&path, vec![0x55; len]).unwrap();
    let request = PublishRequest::new(address("a"), "lost");
    let outcome = service.publish(request).await;
    assert!(
        matches!(outcome, Outcome::Unavailable(_) | Outcome::Unknown(_)),
        "{outcome:?}"
    );
    let failure = loop {
        if let Err(failure) = subscription.next().await {
            break failure;
        }
    };
    assert!(
        [ErrorKind::Malformed, ErrorKind::Misuse].contains(&failure.kind()),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let (_directory, path) = place();
    make(&path).await;
    // Whoever may do anything is not stopped by permissions, but by the header's
    // write version, which means the same to SQLite.
    let mut bytes = fs::read(&path).unwrap();
    bytes[18] = 3;
    fs::write(&path, bytes).unwrap();
    check_refused(&path, ErrorKind::Other, Error::ReadOnly);
}

#[cfg(unix)]
#[tokio::test]
async fn what_it_makes_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("made/too/town.db");
    let _service = open(&path, options());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in [
        &path,
        &path.with_extension("db-wal"),
        &path.with_extension("db-shm"),
    ] {
        assert_eq!(mode(path), 0o600, "{path:?}");
    }
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(path.parent().unwrap().parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a_full_file_takes_nothing_and_loses_nothing() {
    let (_directory, path) = place();
    let full = LocalOptions {
        max_file_len: Some(256 * 1024),
        ..options()
    };
    let service = open(&path, full);
    let mut taken = 0;
    let failure = loop {
        let request = PublishRequest::new(address("a"), vec![taken as u8; 10_000]);
        match service.publish(request).await {
            Outcome::Accepted { .. } => taken += 1,
            Outcome::Unavailable(failure) => break failure,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(failure.to_string(), Error::Full.to_string());
    assert_eq!(failure.kind(), ErrorKind::Other);
    assert!(taken > 10, "{taken}");
    // Of a group, what has room is taken.
    let large = service.publish(PublishRequest::new(address("a"), vec![9; 10_000]));
    let small = service.publish(PublishRequest::new(address("a"), "small"));
    let (large, small) = tokio::join!(large, small);
    assert!(matches!(large, Outcome::Unavailable(_)), "{large:?}");
    assert_eq!(sequence(&accepted(small)), taken + 1);
    drop(service);
    check_integrity(&path);
    // With more room it goes on.
    let service = open(&path, options());
    let log = all(&service, "a").await;
    assert_eq!(log.len() as u64, taken + 1);
    for (n, delivery) in log[..taken as usize].iter().enumerate() {
        assert_eq!(delivery.payload, vec![n as u8; 10_000]);
    }
}

#[tokio::test]
async fn a_file_made_again_keeps_its_locator_and_refuses_its_old_cursors() {
    let (_directory, path) = place();
    let service = open(&path, options());
    let locator = service.locator().clone();
    let hexadecimal = locator.as_str().strip_prefix("local:").unwrap();
    assert_eq!(hexadecimal.len(), 32);
    let old = publish(&service, "a", "old").await;
    drop(service);
    fs::remove_file(&path).unwrap();

    let service = open(&path, options());
    assert_eq!(service.locator(), &locator);
    let new = publish(&service, "a", "new").await;
    assert_ne!(new, old);
    let mut subscription = service.subscribe().await.unwrap();
    let refused = subscription.add(address("a"), Start::After(old.clone()));
    let refused = refused.await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse);
    subscription
        .add(address("a"), Start::Earliest)
        .await
        .unwrap();
    assert_eq!(next(&mut *subscription).await.payload, "new");
    let mut request = PublishRequest::new(address("a"), "conditional");
    request.condition = Some(Condition::LastIs(old));
    let outcome = service.publish(request).await;
    let Outcome::Conflict { current } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(current, Some(new));
}

#[tokio::test]
async fn a_cursor_that_was_never_given_out_is_refused() {
    let (_directory, path) = place();
    let service = open(&path, options());
    let first = publish(&service, "a", "first").await;
    let mut subscription = service.subscribe().await.unwrap();
    for number in [0, 2, u64::MAX] {
        let mut bytes = first.as_bytes()[..8].to_vec();
        bytes.extend(number.to_be_bytes());
        let cursor = cf_core::Cursor::new(bytes).unwrap();
        let refused = subscription.add(address("a"), Start::After(cursor)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Misuse, "{number}");
    }
    let elsewhere = subscription.add(address("b"), Start::After(first)).await;
    assert_eq!(elsewhere.unwrap_err().kind(), ErrorKind::Misuse);
}

#[tokio::test]
async fn a_moved_file_keeps_its_locator_and_its_cursors() {
    let (directory, path) = place();
    let service = open(&path, options());
    let locator = service.locator().clone();
    let first = publish(&service, "a", "first").await;
    publish(&service, "a", "second").await;
    drop(service);
    let moved = directory.path().join("elsewhere.db");
    fs::rename(&path, &moved).unwrap();
    let service = open(&moved, options());
    assert_eq!(service.locator(), &locator);
    let mut subscription = subscribe(&service, "a", Start::After(first)).await;
    assert_eq!(next(&mut *subscription).await.payload, "second");
}

/// Whoever has the file open when it is deleted goes on with the new one, also
/// when its log is left behind.
#[tokio::test]
async fn a_file_deleted_in_use_is_made_again() {
    for suffixes in [&["", "-wal", "-shm"][..], &[""]] {
        let (_directory, path) = place();
        let service = open(&path, options());
        let elsewhere = open(&path, options());
        let mut here = subscribe(&service, "a", Start::Earliest).await;
        let mut there = subscribe(&elsewhere, "a", Start::Earliest).await;
        publish(&service, "a", "old").await;
        for subscription in [&mut here, &mut there] {
            assert_eq!(next(&mut **subscription).await.payload, "old");
        }
        for suffix in suffixes {
            fs::remove_file(format!("{}{suffix}", path.display())).unwrap();
        }
        let cursor = publish(&service, "a", "new").await;
        assert_eq!(sequence(&cursor), 1);
        here.add(address("a"), Start::After(cursor.clone()))
            .await
            .unwrap();
        publish(&elsewhere, "a", "newer").await;
        let delivery = next(&mut *there).await;
        assert_eq!(delivery.cursor, Some(cursor));
        assert_eq!(delivery.payload, "new");
        for subscription in [&mut here, &mut there] {
            assert_eq!(next(&mut **subscription).await.payload, "newer");
        }
        drop((here, there, service, elsewhere));
        check_integrity(&path);
    }
}

/// While another process holds the lock a publish waits, and then says that it
/// was not taken; deliveries go on.
#[tokio::test]
async fn a_locked_file_is_unavailable_for_a_while() {
    let (_directory, path) = place();
    let patient = open(&path, LocalOptions::default());
    let hasty = LocalOptions {
        busy_timeout: Duration::from_millis(100),
        ..LocalOptions::default()
    };
    let service = open(&path, hasty);
    publish(&patient, "a", "first").await;
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = service
        .publish(PublishRequest::new(address("a"), "late"))
        .await;
    let Outcome::Unavailable(failure) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(failure.is_retryable());
    let mut subscription = subscribe(&service, "a", Start::Earliest).await;
    assert_eq!(next(&mut *subscription).await.payload, "first");
    let waiting = patient.publish(PublishRequest::new(address("a"), "in time"));
    let (outcome, ()) = tokio::join!(waiting, async {
        sleep(Duration::from_millis(30)).await;
        holder.execute_batch("ROLLBACK").unwrap();
    });
    assert_eq!(sequence(&accepted(outcome)), 2);
    assert_eq!(next(&mut *subscription).await.payload, "in time");
}
