//! What only `/cf/ds/local/1` has: a file, other processes, and their end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cf_ds::LocalService;
use tempfile::TempDir;

use crate::Subject;

pub(crate) fn subject() -> Subject {
    let (directory, count) = (TempDir::new().unwrap(), AtomicU64::new(0));
    Subject {
        make: Box::new(move || {
            let name = count.fetch_add(1, Ordering::Relaxed).to_string();
            Arc::new(LocalService::open(directory.path().join(name)).unwrap())
        }),
        quiet: Duration::from_millis(200),
    }
}
