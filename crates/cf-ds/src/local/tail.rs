use bytes::Bytes;
use cf_core::{DeliveryAddress, Timestamp};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Statement};

use super::state::State;
use super::subscriber::Need;
use super::transaction::millis;
use crate::Error;

/// The statements by which the reader reads the file. None leaves a transaction
/// open, so that the write-ahead log can start anew.
pub(super) struct Tail<'c> {
    version: Statement<'c>,
    accepted: Statement<'c>,
    last: Statement<'c>,
    published: Statement<'c>,
    payloads: Statement<'c>,
    /// What `version` gave last.
    seen_version: Option<i64>,
}

impl<'c> Tail<'c> {
    /// How many payloads are looked at before somebody else's turn comes.
    const MAX_ROWS: i64 = 512;

    pub(super) fn prepare(connection: &'c Connection) -> Result<Self, Error> {
        let prepare = |sql| connection.prepare(sql);
        Ok(Self {
            version: prepare("PRAGMA data_version")?,
            accepted: prepare("SELECT accepted FROM service")?,
            last: prepare("SELECT last FROM address WHERE name = ?1")?,
            published: prepare(
                "SELECT payload.number, payload.sequence, address.name, payload.bytes
                 FROM payload JOIN address ON address.id = payload.address
                 WHERE payload.number > ?1 ORDER BY payload.number LIMIT ?2",
            )?,
            payloads: prepare(
                "SELECT sequence, bytes FROM payload
                 WHERE address = (SELECT id FROM address WHERE name = ?1)
                 AND sequence > ?2 AND at >= ?3 ORDER BY sequence LIMIT ?4",
            )?,
            seen_version: None,
        })
    }

    /// Whether another connection has written since the last call.
    pub(super) fn has_changed(&mut self) -> Result<bool, Error> {
        let version = Some(self.version.query_row([], |row| row.get(0))?);
        Ok(std::mem::replace(&mut self.seen_version, version) != version)
    }

    /// How many payloads were ever accepted.
    pub(super) fn accepted(&mut self) -> Result<i64, Error> {
        Ok(self.accepted.query_row([], |row| row.get(0))?)
    }

    /// The last sequence number of an address, 0 if it was never published to.
    pub(super) fn last(&mut self, address: &DeliveryAddress) -> Result<u64, Error> {
        let last = self
            .last
            .query_row([address.as_bytes()], |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(last.map_or(0, i64::unsigned_abs))
    }

    /// Shows the subscriptions the payloads that they were not shown; says whether
    /// there are more.
    pub(super) fn follow(&mut self, state: &Mutex<State>) -> Result<bool, Error> {
        let seen = state.lock().seen();
        let mut rows = self.published.query((seen, Self::MAX_ROWS))?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            let sequence = row.get::<_, i64>(1)?.unsigned_abs();
            let name = Bytes::from(row.get::<_, Vec<u8>>(2)?);
            let address = DeliveryAddress::new(name).map_err(|_| Error::DamagedFile)?;
            let is_wanted = state.lock().wants(number, &address);
            if is_wanted {
                let payload = Bytes::from(row.get::<_, Vec<u8>>(3)?);
                let waiting = state.lock().offer(number, &address, sequence, &payload);
                waiting.iter().for_each(|one| one.notify_one());
            }
            count += 1;
        }
        Ok(count == Self::MAX_ROWS)
    }

    /// Reads what a subscription needs, if it is not older than `bound`; says
    /// whether that is all there is.
    #[allow(clippy::type_complexity)]
    pub(super) fn fetch(
        &mut self,
        need: &Need,
        bound: Timestamp,
    ) -> Result<(Vec<(u64, Bytes)>, bool), Error> {
        let name = need.address.as_bytes();
        let after = i64::try_from(need.after).unwrap_or(i64::MAX);
        let limit = i64::try_from(need.payloads).unwrap_or(i64::MAX);
        let mut rows = self.payloads.query((name, after, millis(bound), limit))?;
        let mut read = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let payload = Bytes::from(row.get::<_, Vec<u8>>(1)?);
            bytes += payload.len();
            read.push((row.get::<_, i64>(0)?.unsigned_abs(), payload));
            if bytes >= need.bytes {
                return Ok((read, false));
            }
        }
        let is_all = read.len() < need.payloads;
        Ok((read, is_all))
    }
}
