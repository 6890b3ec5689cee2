use std::collections::HashMap;

use bytes::Bytes;
use cf_core::{Condition, DeliveryAddress, Outcome, PayloadId, PublishRequest, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::cursor::Incarnation;
use super::options::LocalOptions;
use crate::Error;

/// How the file is changed, each transaction as a whole or not at all.
pub(super) struct Transactions<'c> {
    pub(super) connection: &'c Connection,
    pub(super) incarnation: Incarnation,
    pub(super) options: &'c LocalOptions,
}

/// What became of a group.
pub(super) struct Published {
    /// One for each publish.
    pub(super) outcomes: Vec<Outcome>,
    /// The payloads that were accepted: their numbers follow each other.
    pub(super) accepted: Vec<Accepted>,
    /// The number of the first.
    pub(super) first: i64,
    /// Whether retention lags behind.
    pub(super) lags: bool,
}

/// A payload in the file.
pub(super) struct Accepted {
    pub(super) address: DeliveryAddress,
    pub(super) sequence: u64,
    pub(super) payload: Bytes,
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

/// What one transaction publishes, so far.
struct Group<'c> {
    now: Timestamp,
    insert: CachedStatement<'c>,
    addresses: HashMap<DeliveryAddress, Place>,
    accepted: Vec<Accepted>,
}

/// An address in the file.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Its row, once it has one.
    id: Option<i64>,
    last: i64,
    /// Whether `last` went up.
    is_new: bool,
}

impl<'c> Transactions<'c> {
    /// How many statements a connection keeps for the next transaction.
    pub(super) const STATEMENTS: usize = 32;

    /// Publishes all of a group, in one transaction; a condition that does not
    /// hold is an outcome, too.
    pub(super) fn publish<'r>(
        &self,
        requests: impl Iterator<Item = &'r PublishRequest>,
        now: Timestamp,
    ) -> Result<Published, Failure> {
        self.transact(|totals| {
            let first = totals.accepted + 1;
            let mut group = Group {
                now,
                insert: self.statement("INSERT INTO payload VALUES (?1, ?2, ?3, ?4, ?5)")?,
                addresses: HashMap::new(),
                accepted: Vec::new(),
            };
            let outcomes = requests
                .map(|request| self.publish_one(totals, &mut group, request))
                .collect::<Result<_, Error>>()?;
            for place in group.addresses.values().filter(|place| place.is_new) {
                self.statement("UPDATE address SET last = ?2 WHERE id = ?1")?
                    .execute((place.id, place.last))?;
            }
            Ok(Published {
                outcomes,
                accepted: group.accepted,
                first,
                lags: self.retain(totals, now)?,
            })
        })
    }

    /// Lets old payloads go; says whether there is more to do.
    pub(super) fn keep_up(&self, now: Timestamp) -> Result<bool, Failure> {
        self.transact(|totals| self.retain(totals, now))
    }

    /// Writes what there is, so that the write-ahead log starts anew if it can.
    pub(super) fn touch(&self) -> Result<(), Error> {
        self.statement("UPDATE service SET accepted = accepted")?
            .execute([])?;
        Ok(())
    }

    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    fn transact<T>(
        &self,
        work: impl FnOnce(&mut Totals) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let execute = |sql| self.statement(sql)?.execute([]).map_err(Error::from);
        execute("BEGIN IMMEDIATE").map_err(Failure::certain)?;
        let done = self.read_totals().and_then(|before| {
            let mut totals = before;
            let done = work(&mut totals)?;
            if totals != before {
                self.write_totals(totals)?;
            }
            Ok(done)
        });
        // A rollback fails if SQLite has rolled back by itself, which is as good.
        let done = done.map_err(|error| {
            let _ = execute("ROLLBACK");
            Failure::certain(error)
        })?;
        match execute("COMMIT") {
            Ok(_) => Ok(done),
            Err(error) => {
                let _ = execute("ROLLBACK");
                // Where the disk had no room the commit's own mark is not whole.
                // After another failure a later recovery may find it.
                let is_certain = matches!(error, Error::Busy | Error::Full | Error::ReadOnly);
                Err(Failure { error, is_certain })
            }
        }
    }

    fn publish_one(
        &self,
        totals: &mut Totals,
        group: &mut Group<'_>,
        request: &PublishRequest,
    ) -> Result<Outcome, Error> {
        let address = &request.address;
        let place = match group.addresses.get(address) {
            Some(place) => *place,
            None => self.find(address)?,
        };
        let Place { id: row, last, .. } = place;
        let incarnation = self.incarnation;
        let cursor = |sequence: i64| incarnation.cursor(sequence.unsigned_abs());
        let id = request
            .id
            .filter(|_| self.options.duplicate_suppression.is_some());
        if let (Some(row), Some(id)) = (row, &id)
            && let Some(first) = self.repeated(totals, row, id, group.now)?
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
        let row = match row {
            Some(row) => row,
            None => {
                let max = self.options.max_addresses;
                if totals.addresses >= int(max) {
                    return Ok(Outcome::Unavailable(Error::TooManyAddresses { max }.into()));
                }
                totals.addresses += 1;
                self.make(address)?
            }
        };
        let sequence = last + 1;
        totals.accepted += 1;
        totals.bytes += counted(request.payload.len());
        let (number, at) = (totals.accepted, millis(group.now));
        group
            .insert
            .execute((number, row, sequence, at, &request.payload[..]))?;
        if let Some(id) = id {
            self.statement("INSERT INTO publish VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute((number, row, id.as_bytes(), sequence, at))?;
            totals.ids += 1;
        }
        self.bound_address(totals, row, sequence)?;
        let place = Place {
            id: Some(row),
            last: sequence,
            is_new: true,
        };
        group.addresses.insert(address.clone(), place);
        group.accepted.push(Accepted {
            address: address.clone(),
            sequence: sequence.unsigned_abs(),
            payload: request.payload.clone(),
        });
        Ok(Outcome::Accepted {
            cursor: Some(cursor(sequence)),
        })
    }

    fn find(&self, address: &DeliveryAddress) -> Result<Place, Error> {
        let found = self
            .statement("SELECT id, last FROM address WHERE name = ?1")?
            .query_row([address.as_bytes()], |row| {
                Ok(Place {
                    id: row.get(0)?,
                    last: row.get(1)?,
                    is_new: false,
                })
            });
        Ok(found.optional()?.unwrap_or_default())
    }

    /// Gives an address a row, which gets its last sequence number with the group.
    fn make(&self, address: &DeliveryAddress) -> Result<i64, Error> {
        let made = self
            .statement("INSERT INTO address (name, last) VALUES (?1, 0) RETURNING id")?
            .query_row([address.as_bytes()], |row| row.get(0));
        Ok(made?)
    }

    /// Where a publish is, if it repeats a recent one.
    fn repeated(
        &self,
        totals: &mut Totals,
        address: i64,
        id: &PayloadId,
        now: Timestamp,
    ) -> Result<Option<i64>, Error> {
        let found = self
            .statement("SELECT number, sequence, at FROM publish WHERE address = ?1 AND id = ?2")?
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
        self.remove_id(number)?;
        totals.ids -= 1;
        Ok(None)
    }

    /// From when on ids count.
    fn ids_since(&self, now: Timestamp) -> i64 {
        let window = self.options.duplicate_suppression.unwrap_or_default();
        millis(now.before(window))
    }

    /// Lets the oldest payloads of an address go that are too many.
    fn bound_address(&self, totals: &mut Totals, address: i64, last: i64) -> Result<(), Error> {
        let surplus = last - int(self.options.max_payloads_per_address.max(1));
        if surplus <= 0 {
            return Ok(());
        }
        // More than one only after the bound was lowered.
        let mut rows = self.statement(
            "SELECT number, length(bytes) FROM payload
             WHERE address = ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3",
        )?;
        let rows = rows.query_map((address, surplus, 8), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
        for (number, len) in rows {
            self.remove(number)?;
            totals.bytes -= counted(len.unsigned_abs() as usize);
        }
        Ok(())
    }

    /// Lets go what is too old or too much, up to a number of rows; says whether
    /// there is more.
    fn retain(&self, totals: &mut Totals, now: Timestamp) -> Result<bool, Error> {
        let bound = millis(now.before(self.options.retention));
        let max_bytes = int(self.options.max_bytes);
        let mut gone = Vec::new();
        let mut oldest =
            self.statement("SELECT number, at, length(bytes) FROM payload ORDER BY number")?;
        let mut rows = oldest.query([])?;
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
            self.remove(number)?;
        }
        Ok(self.retain_ids(totals, now)? || more)
    }

    fn retain_ids(&self, totals: &mut Totals, now: Timestamp) -> Result<bool, Error> {
        let bound = self.ids_since(now);
        let max = int(self.options.max_ids);
        let mut gone = Vec::new();
        let mut oldest = self.statement("SELECT number, at FROM publish ORDER BY number")?;
        let mut rows = oldest.query([])?;
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
            self.remove_id(number)?;
        }
        Ok(more)
    }
}

impl Transactions<'_> {
    fn remove(&self, number: i64) -> Result<(), Error> {
        self.statement("DELETE FROM payload WHERE number = ?1")?
            .execute([number])?;
        Ok(())
    }

    fn remove_id(&self, number: i64) -> Result<(), Error> {
        self.statement("DELETE FROM publish WHERE number = ?1")?
            .execute([number])?;
        Ok(())
    }

    fn read_totals(&self) -> Result<Totals, Error> {
        let mut totals = self.statement("SELECT accepted, bytes, addresses, ids FROM service")?;
        Ok(totals.query_row([], |row| {
            Ok(Totals {
                accepted: row.get(0)?,
                bytes: row.get(1)?,
                addresses: row.get(2)?,
                ids: row.get(3)?,
            })
        })?)
    }

    fn write_totals(&self, totals: Totals) -> Result<(), Error> {
        let Totals {
            accepted,
            bytes,
            addresses,
            ids,
        } = totals;
        self.statement("UPDATE service SET accepted = ?1, bytes = ?2, addresses = ?3, ids = ?4")?
            .execute([accepted, bytes, addresses, ids])?;
        Ok(())
    }
}

impl Failure {
    fn certain(error: Error) -> Self {
        Self {
            error,
            is_certain: true,
        }
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
