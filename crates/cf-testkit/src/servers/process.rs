use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that runs for as long as this lives.
///
/// It is the child of a shell that waits for the end of its own input, and then
/// kills: that comes however this process ends.
pub(super) struct Process {
    shell: Child,
    pid: u32,
}

const SHELL: &str = r#""$@" </dev/null >/dev/null 2>&1 & echo $!; read _; kill -9 $!; wait"#;

impl Process {
    pub(super) fn start(program: &str, arguments: &[&str]) -> Self {
        let program = find(program);
        let mut shell = Command::new("sh")
            .args(["-c", SHELL, "sh"])
            .arg(&program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let output = shell.stdout.as_mut().expect("it is a pipe");
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the shell says which process it started");
        let pid = line.trim().parse().expect("a number");
        Self { shell, pid }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// SIGKILL, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let more = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut found = folders.chain(more).map(|folder| folder.join(program));
    found.find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "{program} is not installed: `apt-get install nats-server mosquitto`, or leave these \
             tests out with `cargo xtask test --no-services`"
        )
    })
}

/// A port of this machine that nobody uses, and that was not given out before.
///
/// # Panics
/// Without a free port.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        if GIVEN.lock().insert(port) {
            return port;
        }
    }
}

/// Waits until something listens.
pub(super) fn wait_for(port: u16, what: &str, log: &Path) {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > until {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("{what} does not listen: {log}");
        }
        sleep(Duration::from_millis(5));
    }
}
