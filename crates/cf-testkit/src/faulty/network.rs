use std::time::Duration;

use cf_core::Error;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::fates::Fates;
use super::service::FaultCounts;

/// What a service and its subscriptions share.
pub(super) struct Network {
    pub(super) fates: Mutex<Fates>,
    pub(super) counts: Mutex<FaultCounts>,
    link: watch::Sender<Link>,
}

/// The state of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    is_cut: bool,
    /// How often it was cut.
    cuts: u64,
    stalled_until: Option<Instant>,
}

impl Network {
    pub(super) fn new(fates: Fates) -> Self {
        let link = Link {
            is_cut: false,
            cuts: 0,
            stalled_until: None,
        };
        Self {
            fates: Mutex::new(fates),
            counts: Mutex::default(),
            link: watch::Sender::new(link),
        }
    }

    pub(super) fn cut(&self) {
        self.link.send_modify(|link| {
            link.cuts += u64::from(!link.is_cut);
            link.is_cut = true;
        });
    }

    pub(super) fn mend(&self) {
        self.link.send_modify(|link| link.is_cut = false);
    }

    pub(super) fn stall(&self, duration: Duration) {
        self.counts.lock().stalls += 1;
        let until = Instant::now() + duration;
        self.link
            .send_modify(|link| link.stalled_until = link.stalled_until.max(Some(until)));
    }

    /// How often the network was cut.
    pub(super) fn cuts(&self) -> u64 {
        self.link.borrow().cuts
    }

    /// Stalls now, if that is what the seed says.
    pub(super) fn draw_stall(&self) {
        let stall = self.fates.lock().stall();
        if let Some(duration) = stall {
            self.stall(duration);
        }
    }

    /// Waits until nothing stands still any more.
    ///
    /// # Errors
    /// `Unavailable` if the network is cut.
    pub(super) async fn pass(&self) -> cf_core::Result<()> {
        loop {
            let link = *self.link.borrow();
            if link.is_cut {
                return Err(unavailable());
            }
            match link.stalled_until.filter(|until| *until > Instant::now()) {
                Some(until) => sleep_until(until).await,
                None => return Ok(()),
            }
        }
    }

    /// Waits until the network is whole and nothing stands still.
    pub(super) async fn whole(&self) {
        let mut link = self.link.subscribe();
        while self.pass().await.is_err() {
            // The sender is here, so there is always a next change.
            let _ = link.wait_for(|link| !link.is_cut).await;
        }
    }

    /// Shows every change of the network from now on.
    pub(super) fn watch(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }
}

pub(super) fn unavailable() -> Error {
    Error::unavailable("the network is cut")
}
