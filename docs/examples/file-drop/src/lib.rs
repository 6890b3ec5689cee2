//! A delivery service in a folder that several people can see: a network share, a
//! synchronized folder, a USB stick.
//!
//! ```text
//! folder/<address in hexadecimal>/<number from 1>/payload
//! ```
//!
//! A payload is published by renaming a finished folder to the next free number.
//! That either succeeds or finds the number taken, on every file system, so that
//! one address has one order and conditions can be kept.

use std::collections::VecDeque;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cf_core::{
    BoxFuture, Capabilities, Condition, Cursor, Delivery, DeliveryAddress, DeliveryService, Error,
    Linkable, Locator, Outcome, ProtocolId, PublishRequest, Result, Resume, Start, Subscription,
};

const ID: ProtocolId = ProtocolId::from_static("/example/ds/file-drop/1");
/// Somebody else has the number.
const TAKEN: [ErrorKind; 2] = [ErrorKind::DirectoryNotEmpty, ErrorKind::AlreadyExists];
const MAX_PAYLOAD_LEN: usize = 256 * 1024;

/// Delivers payloads through a folder. Nobody deletes them; do so by hand.
pub struct FileDrop {
    folder: PathBuf,
    locator: Locator,
}

impl FileDrop {
    /// Uses a folder, under a name that its users agree on: `drop:NAME`.
    pub fn open(folder: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        let locator = Locator::parse(&format!("drop:{name}"))?;
        Ok(Self { folder: folder.to_owned(), locator })
    }

    fn append(&self, request: &PublishRequest) -> io::Result<Outcome> {
        let address = place(&self.folder, &request.address);
        let random = RandomState::new().build_hasher().finish();
        let unfinished = address.join(format!(".{random:016x}"));
        fs::create_dir_all(&unfinished)?;
        fs::write(unfinished.join("payload"), &request.payload)?;
        loop {
            let last = last(&address)?;
            let holds = request.condition.as_ref().is_none_or(|condition| match condition {
                Condition::Empty => last == 0,
                Condition::LastIs(cursor) => last > 0 && number(cursor) == Some(last),
            });
            if !holds {
                fs::remove_dir_all(&unfinished)?;
                return Ok(Outcome::Conflict { current: (last > 0).then(|| cursor(last)) });
            }
            match fs::rename(&unfinished, address.join((last + 1).to_string())) {
                Ok(()) => return Ok(Outcome::Accepted { cursor: Some(cursor(last + 1)) }),
                Err(error) if !TAKEN.contains(&error.kind()) => return Err(error),
                // The next number then, if the condition still holds.
                Err(_) => {}
            }
        }
    }
}

impl DeliveryService for FileDrop {
    fn id(&self) -> &ProtocolId {
        const { &ID }
    }

    fn locator(&self) -> &Locator {
        &self.locator
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            retention: Some(Duration::from_secs(30 * 24 * 60 * 60)),
            resume: Resume::AnyCursor,
            order: true,
            conditional_publish: true,
            linkable: &[Linkable::Address, Linkable::Time, Linkable::Size],
            ..Capabilities::none(MAX_PAYLOAD_LEN)
        }
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            if request.payload.len() > MAX_PAYLOAD_LEN {
                return Outcome::Refused(Error::rejected("a payload takes at most 256 KiB"));
            }
            // An error may have come after the rename.
            self.append(&request).unwrap_or_else(|error| Outcome::Unknown(failed(&error)))
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        let (folder, next) = (self.folder.clone(), VecDeque::new());
        Box::pin(async { Ok(Box::new(Reader { folder, next }) as _) })
    }
}

struct Reader {
    folder: PathBuf,
    /// The number to read next at each address; who was served goes last.
    next: VecDeque<(DeliveryAddress, u64)>,
}

impl Reader {
    fn read(&mut self) -> Result<Option<Delivery>> {
        for _ in 0..self.next.len() {
            self.next.rotate_left(1);
            let Some((address, at)) = self.next.back_mut() else { continue };
            match fs::read(place(&self.folder, address).join(at.to_string()).join("payload")) {
                Ok(payload) => {
                    let (address, cursor) = (address.clone(), Some(cursor(*at)));
                    *at += 1;
                    return Ok(Some(Delivery { address, payload: payload.into(), cursor }));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(None)
    }
}

impl Subscription for Reader {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let last = last(&place(&self.folder, &address)).map_err(|error| failed(&error))?;
            let next = match start {
                Start::Earliest => 1,
                Start::Latest => last + 1,
                Start::After(cursor) => match number(&cursor) {
                    Some(read @ 1..) if read <= last => read + 1,
                    _ => return Err(Error::misuse("the cursor is not of this folder")),
                },
            };
            self.remove(&address);
            self.next.push_back((address, next));
            Ok(())
        })
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.next.retain(|(other, _)| other != address);
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        Box::pin(async {
            loop {
                if let Some(delivery) = self.read()? {
                    return Ok(delivery);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    fn acknowledge(&mut self, _: &DeliveryAddress, _: &Cursor) {}
}

fn place(folder: &Path, address: &DeliveryAddress) -> PathBuf {
    let hex: String = address.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(hex)
}

/// The highest number at an address; 0 before the first.
fn last(address: &Path) -> io::Result<u64> {
    fs::create_dir_all(address)?;
    let names = fs::read_dir(address)?.filter_map(|entry| Some(entry.ok()?.file_name()));
    // What is unfinished has no number.
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).max().unwrap_or(0))
}

fn cursor(number: u64) -> Cursor {
    Cursor::new(number.to_be_bytes().to_vec()).expect("a cursor may have eight bytes")
}

fn number(cursor: &Cursor) -> Option<u64> {
    cursor.as_bytes().try_into().map(u64::from_be_bytes).ok()
}

fn failed(error: &io::Error) -> Error {
    Error::unavailable(format!("the shared folder: {error}"))
}
