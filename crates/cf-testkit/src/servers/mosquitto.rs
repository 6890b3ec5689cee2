use std::fmt;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::process::{Process, free_port, wait_for};

/// A mosquitto broker that keeps its sessions on disk.
pub struct Mosquitto {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl Mosquitto {
    /// Starts one.
    ///
    /// # Panics
    /// If `mosquitto` is not installed, or does not listen.
    pub fn start() -> Self {
        Self::with_configuration("")
    }

    /// Starts one with more in its configuration.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn with_configuration(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let path = folder.path().display();
        // It writes its sessions after every change, since it is killed in tests.
        let configuration = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n\
             persistence true\npersistence_location {path}/\nautosave_on_changes true\n\
             autosave_interval 1\nmax_queued_messages 0\nmax_inflight_messages 0\n\
             log_dest file {path}/log\nset_tcp_nodelay true\n{more}\n"
        );
        fs::write(folder.path().join("conf"), configuration).expect("the folder is ours");
        let mut server = Self {
            folder,
            port,
            process: None,
        };
        server.run();
        server
    }

    /// Starts one whose configuration is all somebody else's: it has to listen at
    /// `port`, and may keep its data in the folder that it is given.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn configured(port: u16, configuration: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let configuration = configuration(folder.path());
        fs::write(folder.path().join("conf"), configuration).expect("the folder is ours");
        let mut server = Self {
            folder,
            port,
            process: None,
        };
        server.run();
        server
    }

    /// The URL of the broker.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// The port to which clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with its data, configuration and log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGKILL: it is gone when this answers, and its data stays.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Runs again after [`kill`](Self::kill), on its data and its port.
    ///
    /// # Panics
    /// If it does not listen.
    pub fn run(&mut self) {
        let (conf, log) = (self.folder().join("conf"), self.folder().join("log"));
        let conf = conf.display().to_string();
        self.process = Some(Process::start("mosquitto", &["-c", &conf]));
        wait_for(self.port, "mosquitto", &log);
    }
}

impl fmt::Debug for Mosquitto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mosquitto({})", self.port)
    }
}
