use std::thread::{Builder, JoinHandle};

use crate::Error;

/// A thread that ends before its owner does: dropping waits for it. Whoever owns
/// it tells it to stop first.
pub(super) struct OwnedThread(Option<JoinHandle<()>>);

impl OwnedThread {
    pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<Self, Error> {
        let thread = Builder::new().name(name.to_owned()).spawn(work);
        Ok(Self(Some(thread.map_err(|_| Error::NoThread)?)))
    }
}

impl Drop for OwnedThread {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A panic there has been reported by its hook, and there is nothing
            // to do about it here.
            let _ = thread.join();
        }
    }
}
