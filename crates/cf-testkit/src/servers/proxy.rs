use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A proxy in front of a server on this machine, that cuts connections when told.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    cuts: Arc<watch::Sender<u64>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts one for the server at `port`.
    ///
    /// # Panics
    /// Without a free port.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("there are free ports");
        let own = listener.local_addr().expect("it is bound").port();
        let cuts = Arc::new(watch::channel(0).0);
        let mut tasks = JoinSet::new();
        let mut cut = cuts.subscribe();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { continue };
                        connections.spawn(connect(client, port));
                    }
                    _ = cut.changed() => connections.shutdown().await,
                    Some(_) = connections.join_next(), if !connections.is_empty() => {}
                }
            }
        });
        Self {
            port: own,
            cuts,
            _tasks: tasks,
        }
    }

    /// The port to connect to instead of the server's.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all connections; new ones can be made at once.
    pub async fn cut(&self) {
        Cutter(self.cuts.clone()).cut().await;
    }

    /// What cuts this proxy's connections, to be given away.
    pub fn cutter(&self) -> Cutter {
        Cutter(self.cuts.clone())
    }
}

/// Cuts the connections of a [`Proxy`].
#[derive(Clone, Debug)]
pub struct Cutter(Arc<watch::Sender<u64>>);

impl Cutter {
    /// Cuts all connections; new ones can be made at once.
    pub async fn cut(&self) {
        self.0.send_modify(|cuts| *cuts += 1);
        // Until the proxy's task has done so.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn connect(mut client: TcpStream, port: u16) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
