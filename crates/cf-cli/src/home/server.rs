//! How an owner serves other processes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cf::core::{Error, Result};
use serde_json::json;
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::call::{Call, Hello, Reply, SERVICE, VERSION};
use super::owner::Owner;
use super::socket::{self, Lines};

/// The most processes that are served at a time.
const MAX_GUESTS: usize = 64;

/// How long a process may take to say what it wants.
const GREETING: Duration = Duration::from_secs(2);

/// Serves until it is dropped.
pub(super) struct Server {
    tasks: JoinSet<()>,
}

impl Server {
    pub(super) fn start(home: &Path, owner: &Arc<Owner>) -> Result<Self> {
        let listener = socket::listen(home).map_err(|error| {
            Error::unavailable(format!(
                "no socket can be made in {}: {error}",
                home.display()
            ))
        })?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, owner.clone()));
        let keeper = owner.clone();
        tasks.spawn(async move { keeper.keep_to_it().await });
        Ok(Self { tasks })
    }

    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: UnixListener, owner: Arc<Owner>) {
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            stream = listener.accept() => match stream {
                Ok((stream, _)) if !socket::is_own(&stream) => {}
                Ok((stream, _)) => {
                    let is_full = guests.len() >= MAX_GUESTS;
                    guests.spawn(serve(Lines::new(stream), owner.clone(), is_full));
                }
                // For instance no descriptors: others may go.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = guests.join_next(), if !guests.is_empty() => {}
        }
    }
}

async fn serve(mut lines: Lines, owner: Arc<Owner>, is_full: bool) {
    let Ok(Ok(Some(hello))) = timeout(GREETING, lines.read::<Hello>()).await else {
        return;
    };
    let checked = match is_full {
        true => Err(Error::unavailable(
            "too many processes use this home at a time",
        )),
        false => check(&hello, &owner),
    };
    let welcome = Reply::from(checked.map(|()| vec![json!({ SERVICE: owner.service() })]));
    let refused = matches!(welcome, Reply::Failed { .. });
    if lines.write(&welcome).await.is_err() || refused {
        return;
    }
    while let Ok(Some(call)) = lines.read::<Call>().await {
        let reply = Reply::from(owner.answer(call).await);
        if lines.write(&reply).await.is_err() {
            return;
        }
    }
}

fn check(hello: &Hello, owner: &Owner) -> Result<()> {
    if hello.version != VERSION {
        return Err(Error::unsupported(
            "another version of cf has this home open: end it first",
        ));
    }
    match &hello.service {
        Some(service) if service != owner.service() => Err(Error::misuse(format!(
            "a process that has this home open uses {}: end it, or leave --ds out",
            cf::Connectors::shown(owner.service())
        ))),
        _ => Ok(()),
    }
}
