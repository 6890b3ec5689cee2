//! A backup: records of any kind in one file, encrypted under a passphrase.
//!
//! It is written and read as a stream, in chunks of [`CHUNK_LEN`] bytes, so that neither
//! takes memory for the whole. A reader gives records as it finds them; only when
//! [`Reader::next`] has given `None` is it known that the file is whole: keep nothing of
//! it before. The format is in `docs/spec/backup-1.md`.
//!
//! ```
//! use cf_backup::{Cost, Entry, Reader, Writer};
//! use cf_core::Secret;
//! # let cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
//! let passphrase = Secret::from(&b"tea at five"[..]);
//! let mut writer = Writer::new(Vec::new(), &passphrase, cost, [7; 16])?;
//! let entry = Entry::new("contacts", "raya", "likes tea");
//! writer.write(&entry)?;
//! let file = writer.finish()?;
//!
//! let mut reader = Reader::new(&file[..], &passphrase)?;
//! assert_eq!(reader.next()?, Some(entry));
//! assert_eq!(reader.next()?, None);
//! # Ok::<(), cf_core::Error>(())
//! ```

mod entry;
mod error;
mod reader;
mod seal;
mod writer;

pub use entry::{Entry, MAX_ENTRY_LEN};
pub use error::BackupError;
pub use reader::Reader;
pub use seal::{CHUNK_LEN, Cost};
pub use writer::Writer;
