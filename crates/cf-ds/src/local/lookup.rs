use cf_core::DeliveryAddress;
use parking_lot::Mutex;
use rusqlite::OptionalExtension;

use super::file::{LocalFile, OpenFile};
use crate::Error;

/// Finds the last sequence number of an address at once: a client that starts
/// with very many addresses does not call the reader for each.
pub(super) struct Lookup {
    file: LocalFile,
    open: Mutex<Option<OpenFile>>,
}

impl Lookup {
    pub(super) fn new(open: OpenFile, file: &LocalFile) -> Result<Self, Error> {
        // Waiting is for the reader, which has a thread for that.
        open.connection.busy_timeout(std::time::Duration::ZERO)?;
        Ok(Self {
            file: file.clone(),
            open: Mutex::new(Some(open)),
        })
    }

    /// The last sequence number of an address, 0 if it was never published to.
    /// `None` if only the reader can tell: the file is locked, fails, or was made
    /// again.
    pub(super) fn last(&self, address: &DeliveryAddress) -> Option<u64> {
        let mut open = self.open.lock();
        if !open.as_ref()?.is_at(&self.file) {
            *open = None;
        }
        let last = open.as_ref()?.connection.query_row(
            "SELECT last FROM address WHERE name = ?1",
            [address.as_bytes()],
            |row| row.get::<_, i64>(0),
        );
        Some(last.optional().ok()?.map_or(0, i64::unsigned_abs))
    }
}
