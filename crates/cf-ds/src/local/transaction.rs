use cf_core::{Condition, Outcome, PayloadId, PublishRequest, Timestamp};
use rusqlite::{Connection, OptionalExtension, Statement};

use super::cursor::Incarnation;
use super::options::LocalOptions;
use crate::Error;

/// The statements by which the writer changes the file, each transaction as a
/// whole or not at all.
pub(super) struct Transactions<'c> {
    incarnation: Incarnation,
    options: &'c LocalOptions,
    begin: Statement<'c>,
    commit: Statement<'c>,
    rollback: Statement<'c>,
    totals: Statement<'c>,
    set_totals: Statement<'c>,
    address: Statement<'c>,
    new_address: Statement<'c>,
    set_last: Statement<'c>,
    insert: Statement<'c>,
    surplus: Statement<'c>,
    oldest: Statement<'c>,
    remove: Statement<'c>,
    find_id: Statement<'c>,
    insert_id: Statement<'c>,
    oldest_ids: Statement<'c>,
    remove_id: Statement<'c>,
}

/// Why a transaction failed, and whether it certainly changed nothing.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) is_certain: bool,
}

/// What the file counts.
#[derive(Clone, Copy, PartialEq)]
struct Totals {
    /// How many payloads were ever accepted; their numbers.
    accepted: i64,
    /// What the retained payloads count.
    bytes: i64,
    /// How many addresses there are.
    addresses: i64,
    /// How many ids of publishes are remembered.
    ids: i64,
}

/// How many rows beyond those that it adds a transaction removes.
const REMOVALS: usize = 256;

impl<'c> Transactions<'c> {
    pub(super) fn prepare(
        connection: &'c Connection,
        incarnation: Incarnation,
        options: &'c LocalOptions,
    ) -> Result<Self, Error> {
        let prepare = |sql| connection.prepare(sql);
        Ok(Self {
            incarnation,
            options,
            begin: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
            rollback: prepare("ROLLBACK")?,
            totals: prepare("SELECT accepted, bytes, addresses, ids FROM service")?,
            set_totals: prepare(
                "UPDATE service SET accepted = ?1, bytes = ?2, addresses = ?3, ids = ?4",
            )?,
            address: prepare("SELECT id, last FROM address WHERE name = ?1")?,
            new_address: prepare("INSERT INTO address (name, last) VALUES (?1, 1) RETURNING id")?,
            set_last: prepare("UPDATE address SET last = ?2 WHERE id = ?1")?,
            insert: prepare("INSERT INTO payload VALUES (?1, ?2, ?3, ?4, ?5)")?,
            surplus: prepare(
                "SELECT number, length(bytes) FROM payload
                 WHERE address = ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3",
            )?,
            oldest: prepare("SELECT number, at, length(bytes) FROM payload ORDER BY number")?,
            remove: prepare("DELETE FROM payload WHERE number = ?1")?,
            find_id: prepare(
                "SELECT number, sequence, at FROM publish WHERE address = ?1 AND id = ?2",
            )?,
            insert_id: prepare("INSERT INTO publish VALUES (?1, ?2, ?3, ?4, ?5)")?,
            oldest_ids: prepare("SELECT number, at FROM publish ORDER BY number")?,
            remove_id: prepare("DELETE FROM publish WHERE number = ?1")?,
        })
    }

    /// Publishes all of a group, in one transaction; a condition that does not
    /// hold is an outcome, too. Says also whether retention lags behind.
    pub(super) fn publish<'r>(
        &mut self,
        group: impl Iterator<Item = &'r PublishRequest>,
        now: Timestamp,
    ) -> Result<(Vec<Outcome>, bool), Failure> {
        self.transact(|this, totals| {
            let outcomes: Result<_, Error> = group
                .map(|request| this.publish_one(totals, request, now))
                .collect();
            Ok((outcomes?, this.retain(totals, now)?))
        })
    }

    /// Lets old payloads go; says whether there is more to do.
    pub(super) fn keep_up(&mut self, now: Timestamp) -> Result<bool, Failure> {
        self.transact(|this, totals| this.retain(totals, now))
    }

    fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut Totals) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let certain = |error: rusqlite::Error| Failure {
            error: error.into(),
            is_certain: true,
        };
        self.begin.execute([]).map_err(certain)?;
        let done = self.read_totals().and_then(|before| {
            let mut totals = before;
            let done = work(self, &mut totals)?;
            if totals != before {
                self.write_totals(totals)?;
            }
            Ok(done)
        });
        let done = done.map_err(|error| {
            self.roll_back();
            Failure {
                error,
                is_certain: true,
            }
        })?;
        match self.commit.execute([]) {
            Ok(_) => Ok(done),
            Err(error) => {
                self.roll_back();
                let error = error.into();
                // Where the disk had no room the commit's own mark is not whole.
                // After another failure a later recovery may find it.
                let is_certain = matches!(error, Error::Busy | Error::Full | Error::ReadOnly);
                Err(Failure { error, is_certain })
            }
        }
    }

    fn roll_back(&mut self) {
        // It fails if SQLite has rolled back by itself, which is as good.
        let _ = self.rollback.execute([]);
    }

    fn publish_one(
        &mut self,
        totals: &mut Totals,
        request: &PublishRequest,
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        let name = request.address.as_bytes();
        let known = self
            .address
            .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (address, last): (Option<i64>, i64) = match known {
            Some((id, last)) => (Some(id), last),
            None => (None, 0),
        };
        let incarnation = self.incarnation;
        let cursor = |sequence: i64| incarnation.cursor(sequence.unsigned_abs());
        let id = request
            .id
            .filter(|_| self.options.duplicate_suppression.is_some());
        if let (Some(address), Some(id)) = (address, &id)
            && let Some(first) = self.repeated(totals, address, id, now)?
        {
            return Ok(Outcome::Accepted {
                cursor: Some(cursor(first)),
            });
        }
        let holds = match &request.condition {
            None => true,
            Some(Condition::Empty) => last == 0,
            Some(Condition::LastIs(named)) => last != 0 && *named == cursor(last),
        };
        if !holds {
            let current = (last != 0).then(|| cursor(last));
            return Ok(Outcome::Conflict { current });
        }
        let sequence = last + 1;
        let outcome = Outcome::Accepted {
            cursor: Some(cursor(sequence)),
        };
        let address = match address {
            Some(id) => {
                self.set_last.execute([id, sequence])?;
                id
            }
            None => {
                let max = self.options.max_addresses;
                if totals.addresses >= int(max) {
                    return Ok(Outcome::Unavailable(Error::TooManyAddresses { max }.into()));
                }
                totals.addresses += 1;
                self.new_address.query_row([name], |row| row.get(0))?
            }
        };
        totals.accepted += 1;
        totals.bytes += counted(request.payload.len());
        let (number, at) = (totals.accepted, millis(now));
        self.insert
            .execute((number, address, sequence, at, &request.payload[..]))?;
        if let Some(id) = id {
            self.insert_id
                .execute((number, address, id.as_bytes(), sequence, at))?;
            totals.ids += 1;
        }
        self.bound_address(totals, address, sequence)?;
        Ok(outcome)
    }

    /// Where a publish is, if it repeats a recent one.
    fn repeated(
        &mut self,
        totals: &mut Totals,
        address: i64,
        id: &PayloadId,
        now: Timestamp,
    ) -> Result<Option<i64>, Error> {
        let found = self
            .find_id
            .query_row((address, id.as_bytes()), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((number, sequence, at)): Option<(i64, i64, i64)> = found else {
            return Ok(None);
        };
        if at >= self.ids_since(now) {
            return Ok(Some(sequence));
        }
        self.remove_id.execute([number])?;
        totals.ids -= 1;
        Ok(None)
    }

    /// From when on ids count.
    fn ids_since(&self, now: Timestamp) -> i64 {
        let window = self.options.duplicate_suppression.unwrap_or_default();
        millis(now.before(window))
    }

    /// Lets the oldest payloads of an address go that are too many.
    fn bound_address(&mut self, totals: &mut Totals, address: i64, last: i64) -> Result<(), Error> {
        let surplus = last - int(self.options.max_payloads_per_address.max(1));
        if surplus <= 0 {
            return Ok(());
        }
        // More than one only after the bound was lowered.
        let rows = self
            .surplus
            .query_map((address, surplus, 8), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
        for (number, len) in rows {
            self.remove.execute([number])?;
            totals.bytes -= counted(len.unsigned_abs() as usize);
        }
        Ok(())
    }

    /// Lets go what is too old or too much, up to a number of rows; says whether
    /// there is more.
    fn retain(&mut self, totals: &mut Totals, now: Timestamp) -> Result<bool, Error> {
        let bound = millis(now.before(self.options.retention));
        let max_bytes = int(self.options.max_bytes);
        let mut gone = Vec::new();
        let mut rows = self.oldest.query([])?;
        let mut more = false;
        while let Some(row) = rows.next()? {
            let (number, at, len): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let is_surplus = totals.bytes > max_bytes && number != totals.accepted;
            if at >= bound && !is_surplus {
                break;
            }
            if gone.len() >= REMOVALS {
                more = true;
                break;
            }
            gone.push(number);
            totals.bytes -= counted(len.unsigned_abs() as usize);
        }
        drop(rows);
        for number in gone {
            self.remove.execute([number])?;
        }
        Ok(self.retain_ids(totals, now)? || more)
    }

    fn retain_ids(&mut self, totals: &mut Totals, now: Timestamp) -> Result<bool, Error> {
        let bound = self.ids_since(now);
        let max = int(self.options.max_ids);
        let mut gone = Vec::new();
        let mut rows = self.oldest_ids.query([])?;
        let mut more = false;
        while let Some(row) = rows.next()? {
            let (number, at): (i64, i64) = (row.get(0)?, row.get(1)?);
            if at >= bound && totals.ids <= max {
                break;
            }
            if gone.len() >= 2 * REMOVALS {
                more = true;
                break;
            }
            gone.push(number);
            totals.ids -= 1;
        }
        drop(rows);
        for number in gone {
            self.remove_id.execute([number])?;
        }
        Ok(more)
    }
}

impl Transactions<'_> {
    fn read_totals(&mut self) -> Result<Totals, Error> {
        Ok(self.totals.query_row([], |row| {
            Ok(Totals {
                accepted: row.get(0)?,
                bytes: row.get(1)?,
                addresses: row.get(2)?,
                ids: row.get(3)?,
            })
        })?)
    }

    fn write_totals(&mut self, totals: Totals) -> Result<(), Error> {
        let Totals {
            accepted,
            bytes,
            addresses,
            ids,
        } = totals;
        self.set_totals.execute([accepted, bytes, addresses, ids])?;
        Ok(())
    }
}

fn counted(len: usize) -> i64 {
    int(len + LocalOptions::PAYLOAD_OVERHEAD)
}

fn int(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time as the file has it.
pub(super) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}
