use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::{Process, free_port, wait_for};

/// A NATS server with JetStream.
pub struct NatsServer {
    folder: TempDir,
    port: u16,
    monitor: u16,
    process: Option<Process>,
}

/// How long a cluster may take until it is whole.
const PATIENCE: Duration = Duration::from_secs(60);

impl NatsServer {
    /// Starts one.
    ///
    /// # Panics
    /// If `nats-server` is not installed, or does not listen.
    pub fn start() -> Self {
        Self::with_configuration("")
    }

    /// Starts one with more in its configuration, for instance accounts or TLS.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn with_configuration(more: &str) -> Self {
        let mut server = Self::new(more);
        server.run();
        server
    }

    /// Starts one whose configuration is all somebody else's: it has to listen at
    /// `port` for clients and at `monitor` for HTTP, and may keep its data in the folder
    /// that it is given.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn configured(
        port: u16,
        monitor: u16,
        configuration: impl FnOnce(&Path) -> String,
    ) -> Self {
        let mut server = Self::configuring(port, monitor, configuration);
        server.run();
        server
    }

    /// As [`configured`](Self::configured), before it [`run`](Self::run)s.
    ///
    /// # Panics
    /// Without a temporary folder.
    pub fn configuring(
        port: u16,
        monitor: u16,
        configuration: impl FnOnce(&Path) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let configuration = configuration(folder.path());
        fs::write(folder.path().join("conf"), configuration).expect("the folder is ours");
        Self {
            folder,
            port,
            monitor,
            process: None,
        }
    }

    /// Starts several as one cluster, and waits until it is whole.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn cluster(count: usize) -> Vec<Self> {
        let routes: Vec<_> = (0..count).map(|_| free_port()).collect();
        let all: Vec<_> = routes
            .iter()
            .map(|port| format!("\"nats://127.0.0.1:{port}\""))
            .collect();
        let all = all.join(", ");
        let name = format!("test{}", routes[0]);
        let mut servers: Vec<_> = routes
            .iter()
            .enumerate()
            .map(|(number, route)| {
                Self::new(&format!(
                    "server_name: n{number}\ncluster {{ name: \"{name}\", \
                     listen: \"127.0.0.1:{route}\", routes: [{all}] }}\n"
                ))
            })
            .collect();
        servers.iter_mut().for_each(Self::run);
        servers.iter().for_each(Self::wait_until_current);
        servers
    }

    fn new(more: &str) -> Self {
        let (port, monitor) = (free_port(), free_port());
        Self::configuring(port, monitor, |folder| {
            let path = folder.display();
            format!(
                "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\n\
                 jetstream {{ store_dir: \"{path}\", max_file: 10G, max_mem: 1G }}\n{more}\n"
            )
        })
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port to which clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with its data, configuration and log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
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
        let [conf, log_path] = [&conf, &log].map(|path| path.display().to_string());
        let process = Process::start("nats-server", &["-c", &conf, "-l", &log_path]);
        self.process = Some(process);
        wait_for(self.port, "nats-server", &log);
    }

    /// Waits until the server says that all it has is current.
    ///
    /// # Panics
    /// If that takes longer than a minute.
    pub fn wait_until_current(&self) {
        let until = Instant::now() + PATIENCE;
        while !self.is_current() {
            assert!(Instant::now() < until, "the server does not get current");
            sleep(Duration::from_millis(50));
        }
    }

    fn is_current(&self) -> bool {
        let answer =
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.monitor)).and_then(|mut http| {
                http.set_read_timeout(Some(Duration::from_secs(2)))?;
                http.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
                let mut answer = String::new();
                http.read_to_string(&mut answer)?;
                Ok(answer)
            });
        answer.is_ok_and(|answer| answer.contains(" 200 "))
    }

    /// Forgets all that the server has: it is stopped, emptied and started.
    ///
    /// # Panics
    /// If it does not listen.
    pub fn wipe(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(self.folder().join("jetstream"));
        self.run();
    }
}

impl fmt::Debug for NatsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NatsServer({})", self.port)
    }
}
