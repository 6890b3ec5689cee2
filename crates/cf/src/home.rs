use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cf_core::{Batch, Error, ErrorKind, Identity, Locator, Random, Result, Secret, Store};
use cf_identity::{SEED_LEN, SoftwareIdentity};
use cf_store::{KeyFile, SqliteOptions, SqliteStore, Unlock};

use crate::{Builder, Chats, Client, SystemRandom, builder};

/// The namespace of what a home keeps beside the client's state.
pub(crate) const HOME: &str = "home";
pub(crate) const NAME: &str = "name";
pub(crate) const SEED: &str = "seed";
pub(crate) const SERVICE: &str = "service";
pub(crate) const FURTHER_SERVICES: &str = "further_services";
pub(crate) const KEEP_DAYS: &str = "keep_days";
pub(crate) const READ_RECEIPTS: &str = "read_receipts";

/// A folder that holds a client whole: its encrypted store, and the key of it
/// unless a passphrase opens it.
///
/// A home has one owner: while it is open here, opening it elsewhere is
/// `Unavailable`. It is let go with the last clone of its store, at the latest
/// when the process ends.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cf::core::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path().join("home");
/// use cf::{Home, ds::MemoryService};
/// let home = Home::create(&folder, "Saro", None)?;
/// let client = home.builder().service(MemoryService::new("town")?).open()?;
/// client.shutdown().await;
/// drop(home);
///
/// let again = Home::open(&folder, None)?;
/// assert_eq!(again.name(), "Saro");
/// # Ok(()) }
/// ```
pub struct Home {
    store: SqliteStore,
    identity: Arc<SoftwareIdentity>,
    name: String,
    service: Option<String>,
}

impl Home {
    /// The longest name, in bytes.
    pub const MAX_NAME_LEN: usize = 128;
    /// The most services beside the home's own.
    pub const MAX_FURTHER_SERVICES: usize = 8;

    /// Makes a home with a new identity, with a key file or under a passphrase.
    /// A home whose making was interrupted is finished.
    ///
    /// # Errors
    /// `Misuse` if there is a home already, or for a name that is empty or over
    /// [`Self::MAX_NAME_LEN`]; those of the store.
    pub fn create(folder: &Path, name: &str, passphrase: Option<Secret>) -> Result<Self> {
        if name.trim().is_empty() || name.len() > Self::MAX_NAME_LEN {
            return Err(Error::misuse("a name takes 1 to 128 bytes"));
        }
        let store = Self::make_store(folder, passphrase)?;
        if store.get(HOME.as_bytes(), SEED.as_bytes())?.is_some() {
            let message = format!("there is a home in {} already", folder.display());
            return Err(Error::misuse(message));
        }
        let mut seed = vec![0; SEED_LEN];
        SystemRandom::default().fill(&mut seed);
        let mut batch = Batch::default();
        batch.put(HOME, NAME, name.to_owned());
        batch.put(HOME, SEED, seed);
        store.commit(&batch)?;
        Self::read(folder, store)
    }

    /// Opens a home. A passphrase is needed where there is no key file.
    ///
    /// # Errors
    /// `Misuse` if there is no home, or the passphrase is missing; `Unavailable`
    /// if another process has it open; `Rejected` for a wrong passphrase; those
    /// of the store.
    pub fn open(folder: &Path, passphrase: Option<Secret>) -> Result<Self> {
        if !Self::exists(folder) {
            return Err(no_home(folder));
        }
        Self::read(folder, open_store(folder, passphrase)?)
    }

    /// Whether there is a home in a folder, finished or not.
    pub fn exists(folder: &Path) -> bool {
        store_path(folder).exists()
    }

    /// Whether a home opens with a passphrase, not with a key file.
    pub fn needs_passphrase(folder: &Path) -> bool {
        Self::exists(folder) && !key_path(folder).exists()
    }

    /// The name that the client shows to others.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who the client is.
    pub fn identity(&self) -> &dyn Identity {
        &*self.identity
    }

    /// The URL of the delivery service that was set for this home.
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// Sets the URL of the delivery service that the home's client uses.
    ///
    /// # Errors
    /// Those of the store.
    pub fn set_service(&mut self, url: &str) -> Result<()> {
        let mut batch = Batch::default();
        batch.put(HOME, SERVICE, url.to_owned());
        self.store.commit(&batch)?;
        self.service = Some(url.to_owned());
        Ok(())
    }

    /// The locators of the services that the user has agreed to connect to beside it,
    /// at most [`Self::MAX_FURTHER_SERVICES`].
    ///
    /// # Errors
    /// Those of the store.
    pub fn further_services(&self) -> Result<Vec<Locator>> {
        let set = self
            .store
            .get(HOME.as_bytes(), FURTHER_SERVICES.as_bytes())?;
        let text = set.map(|set| String::from_utf8_lossy(&set).into_owned());
        text.unwrap_or_default()
            .lines()
            .map(Locator::parse)
            .collect()
    }

    /// Adds a service that the user has agreed to connect to.
    ///
    /// # Errors
    /// `Rejected` beyond [`Self::MAX_FURTHER_SERVICES`]; those of the store.
    pub fn add_service(&self, locator: &Locator) -> Result<()> {
        let mut all = self.further_services()?;
        if all.contains(locator) {
            return Ok(());
        }
        if all.len() >= Self::MAX_FURTHER_SERVICES {
            return Err(Error::rejected("a home takes 8 further services"));
        }
        all.push(locator.clone());
        let all: Vec<_> = all.iter().map(Locator::as_str).collect();
        let mut batch = Batch::default();
        batch.put(HOME, FURTHER_SERVICES, all.join("\n"));
        self.store.commit(&batch)
    }

    /// Whether authors are to be told what was read; so it is unless set otherwise.
    ///
    /// # Errors
    /// Those of the store.
    pub fn read_receipts(&self) -> Result<bool> {
        let set = self.store.get(HOME.as_bytes(), READ_RECEIPTS.as_bytes())?;
        Ok(set.is_none_or(|set| set[..] != *b"off"))
    }

    /// Sets whether authors are to be told what was read.
    ///
    /// # Errors
    /// Those of the store.
    pub fn set_read_receipts(&self, on: bool) -> Result<()> {
        let mut batch = Batch::default();
        batch.put(HOME, READ_RECEIPTS, if on { "on" } else { "off" });
        self.store.commit(&batch)
    }

    /// For how many days what is said is kept; `None`: for ever, unless set otherwise.
    ///
    /// # Errors
    /// Those of the store.
    pub fn keep_days(&self) -> Result<Option<u64>> {
        let set = self.store.get(HOME.as_bytes(), KEEP_DAYS.as_bytes())?;
        let text = set.map(|set| String::from_utf8_lossy(&set).into_owned());
        Ok(text.and_then(|days| days.parse().ok()))
    }

    /// Sets for how many days what is said is kept. Somebody has to see to it: see
    /// [`Chats::forget_before`].
    ///
    /// # Errors
    /// Those of the store.
    pub fn set_keep_days(&self, days: Option<u64>) -> Result<()> {
        let mut batch = Batch::default();
        match days {
            Some(days) => batch.put(HOME, KEEP_DAYS, days.to_string()),
            None => batch.delete(HOME, KEEP_DAYS),
        }
        self.store.commit(&batch)
    }

    /// The conversations of the home's client, as a person sees them.
    ///
    /// # Errors
    /// As [`Chats::open`].
    pub fn chats(&self, client: &Client) -> Result<Chats> {
        let own = self.identity.id().clone();
        Chats::open(client, Arc::new(self.store.clone()), Some(own))
    }

    /// Composes the home's client.
    pub fn builder(&self) -> Builder {
        builder(&self.name)
            .identity(self.identity.clone())
            .store(Arc::new(self.store.clone()))
    }

    pub(crate) fn store(&self) -> &SqliteStore {
        &self.store
    }

    pub(crate) fn make_store(folder: &Path, passphrase: Option<Secret>) -> Result<SqliteStore> {
        make_private(folder)?;
        let (path, key) = (store_path(folder), key_path(folder));
        let options = SqliteOptions::default;
        match (passphrase, key.exists()) {
            (Some(_), true) => {
                let message = format!(
                    "{} has a key file: remove it, or make the home without a passphrase",
                    folder.display()
                );
                Err(Error::misuse(message))
            }
            (Some(passphrase), false) => {
                let unlock = Unlock::Passphrase(passphrase);
                SqliteStore::open_or_create(&path, &unlock, options())
            }
            // A key file beside it would hide that it needs a passphrase.
            (None, false) if fs::metadata(&path).is_ok_and(|store| store.len() > 0) => {
                let message = format!(
                    "there is a home in {} already, which opens with a passphrase",
                    folder.display()
                );
                Err(Error::misuse(message))
            }
            (None, _) => {
                let unlock = Unlock::Key(KeyFile::open(&key)?);
                SqliteStore::open_or_create(&path, &unlock, options())
            }
        }
    }

    fn read(folder: &Path, store: SqliteStore) -> Result<Self> {
        let read = |key: &str| store.get(HOME.as_bytes(), key.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (Some(name), Some(seed)) = (read(NAME)?, read(SEED)?) else {
            return Err(no_home(folder));
        };
        let (name, service) = (text(&name), read(SERVICE)?.as_deref().map(text));
        let identity = SoftwareIdentity::from_seed(Secret::from(&seed[..]))?;
        let identity = Arc::new(identity);
        Ok(Self {
            store,
            identity,
            name,
            service,
        })
    }
}

fn open_store(folder: &Path, passphrase: Option<Secret>) -> Result<SqliteStore> {
    let key = key_path(folder);
    let unlock = match passphrase {
        _ if key.exists() => Unlock::Key(KeyFile::open(&key)?),
        Some(passphrase) => Unlock::Passphrase(passphrase),
        None => {
            let message = format!(
                "{} opens with a passphrase, or its key file is gone: give the passphrase, \
                 or put the file {} back",
                folder.display(),
                key.display()
            );
            return Err(Error::misuse(message));
        }
    };
    SqliteStore::open(&store_path(folder), &unlock, SqliteOptions::default())
}

fn no_home(folder: &Path) -> Error {
    Error::misuse(format!(
        "there is no home in {}: make one with `cf init --name NAME`",
        folder.display()
    ))
}

fn store_path(folder: &Path) -> PathBuf {
    folder.join("store.db")
}

fn key_path(folder: &Path) -> PathBuf {
    folder.join("key")
}

/// Makes a folder that only its owner may look into; one that is there is left
/// as it is.
fn make_private(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| {
        let message = format!("{} can't be made: {error}", folder.display());
        Error::new(ErrorKind::Other, message)
    })
}
