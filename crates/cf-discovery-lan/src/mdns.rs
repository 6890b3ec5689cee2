use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use cf_core::{BoxFuture, Result};
use mdns_sd::{IfKind, ServiceDaemon, ServiceEvent, ServiceInfo};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::{Announcement, Error, Heard, Lan, Network};

/// What is asked for: this family's instances on the local network.
const SERVICE: &str = "_cf-chat._udp.local.";
/// How long the network is told that this client leaves.
const LEAVING: Duration = Duration::from_millis(500);

/// How the local network is used.
#[derive(Clone, Debug)]
pub struct MdnsOptions {
    /// The UDP port; 5353 unless tests want a network of their own.
    pub port: u16,
    /// Whether nothing leaves this machine.
    pub loopback_only: bool,
    /// How long answers are waited for: 2 seconds by default.
    pub patience: Duration,
}

impl Default for MdnsOptions {
    fn default() -> Self {
        Self {
            port: 5353,
            loopback_only: false,
            patience: Duration::from_secs(2),
        }
    }
}

/// The local network by mDNS (RFC 6762) and DNS-SD (RFC 6763).
///
/// Nothing is sent and no socket is open except while something is announced or asked
/// for. Hosts and instances have random names, so that only what is announced tells
/// who it is.
pub struct Mdns {
    options: MdnsOptions,
    /// The thread that speaks with the network, once there is one.
    daemon: Mutex<Option<ServiceDaemon>>,
    /// What is announced: its full name, by its instance.
    announced: Mutex<HashMap<String, String>>,
    host: String,
    /// One after the other: answers go to who asked last.
    browsing: tokio::sync::Mutex<()>,
}

impl Mdns {
    /// Takes options; the network is not touched yet.
    ///
    /// # Errors
    /// `Unavailable` if the system gives no random bytes.
    pub fn new(options: MdnsOptions) -> Result<Self> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(failed)?;
        Ok(Self {
            options,
            daemon: Mutex::default(),
            announced: Mutex::default(),
            host: format!("{:016x}.local.", u64::from_be_bytes(bytes)),
            browsing: tokio::sync::Mutex::default(),
        })
    }

    fn daemon(&self) -> Result<ServiceDaemon> {
        let mut daemon = self.daemon.lock();
        if let Some(daemon) = &*daemon {
            return Ok(daemon.clone());
        }
        let started = ServiceDaemon::new_with_port(self.options.port).map_err(failed)?;
        if self.options.loopback_only {
            started.disable_interface(IfKind::All).map_err(failed)?;
            started
                .enable_interface(IfKind::LoopbackV4)
                .map_err(failed)?;
        }
        *daemon = Some(started.clone());
        Ok(started)
    }

    /// Ends the thread where nothing is announced: it listens no longer, and forgets what
    /// it has heard.
    fn rest(&self) {
        let mut daemon = self.daemon.lock();
        if self.announced.lock().is_empty()
            && let Some(daemon) = daemon.take()
        {
            // If it could not be told, it ends with the process.
            let _ = daemon.shutdown();
        }
    }
}

impl Network for Mdns {
    fn announce(&self, announcement: &Announcement) -> Result<()> {
        let instance = announcement.instance();
        let strings = announcement.encode();
        let port = 0; // Nobody is to connect here: the link says how.
        let info = ServiceInfo::new(SERVICE, &instance, &self.host, (), port, &strings[..]);
        let info = info.map_err(failed)?.enable_addr_auto();
        let name = info.get_fullname().to_owned();
        // Said first, so that nobody who has browsed stops the thread in between.
        self.announced.lock().insert(instance, name);
        self.daemon()?.register(info).map_err(failed)
    }

    fn withdraw(&self, instance: &str) -> Result<()> {
        let Some(name) = self.announced.lock().remove(instance) else {
            return Ok(());
        };
        self.daemon()?.unregister(&name).map_err(failed)?;
        Ok(())
    }

    fn browse(&self) -> BoxFuture<'_, Result<Vec<Heard>>> {
        Box::pin(async move {
            let _one = self.browsing.lock().await;
            let daemon = self.daemon()?;
            let events = daemon.browse(SERVICE).map_err(failed)?;
            let mut heard: HashMap<String, Heard> = HashMap::new();
            let listening = async {
                while let Ok(event) = events.recv_async().await {
                    match event {
                        ServiceEvent::ServiceResolved(found)
                            if heard.len() < Lan::MAX_HEARD
                                || heard.contains_key(&found.fullname) =>
                        {
                            let strings = found.txt_properties.iter();
                            let strings = strings.take(Announcement::MAX_STRINGS + 1).map(|it| {
                                let value = it.val().unwrap_or_default();
                                (it.key().to_owned(), value.to_owned())
                            });
                            let record = Heard {
                                strings: strings.collect(),
                            };
                            heard.insert(found.fullname.clone(), record);
                        }
                        ServiceEvent::ServiceRemoved(_, name) => drop(heard.remove(&name)),
                        _ => {}
                    }
                }
            };
            // It never ends by itself: more may come as long as it is listened to.
            let _ = timeout(self.options.patience, listening).await;
            daemon.stop_browse(SERVICE).map_err(failed)?;
            self.rest();
            Ok(heard.into_values().collect())
        })
    }
}

impl Drop for Mdns {
    /// Tells the network that what was announced is no longer there.
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.get_mut().take()
            && let Ok(status) = daemon.shutdown()
        {
            let _ = status.recv_timeout(LEAVING);
        }
    }
}

impl fmt::Debug for Mdns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mdns").field(&self.options).finish()
    }
}

fn failed(error: impl fmt::Display) -> cf_core::Error {
    let why = error.to_string();
    Error::Network { why }.into()
}
