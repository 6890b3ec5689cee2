use std::time::Duration;

use bytes::Bytes;
use cf_core::{DeliveryAddress, DeliveryService, Result, Start};
use tokio::time::{Instant, timeout_at};

/// How long nothing more has to come before what came is taken for all.
const QUIET: Duration = Duration::from_millis(300);

/// The most retained payloads that are looked at.
pub(crate) const MAX_PAYLOADS: usize = 1024;
/// The most bytes of retained payloads that are looked at.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// Whether so much was read that there may be more behind it.
pub(crate) fn is_bounded(payloads: &[Bytes]) -> bool {
    let bytes: usize = payloads.iter().map(Bytes::len).sum();
    payloads.len() >= MAX_PAYLOADS || bytes >= MAX_BYTES
}

/// What a service retains at an address, within [`MAX_PAYLOADS`] and [`MAX_BYTES`].
///
/// A service does not say when it has given all that it has: after the first, a
/// pause says so.
pub(crate) async fn retained(
    service: &dyn DeliveryService,
    address: &DeliveryAddress,
    patience: Duration,
) -> Result<Vec<Bytes>> {
    let mut subscription = service.subscribe().await?;
    subscription.add(address.clone(), Start::Earliest).await?;
    #[allow(
        clippy::disallowed_methods,
        reason = "waiting for a service takes real time"
    )]
    let start = Instant::now();
    let (end, mut deadline) = (start + patience, start + patience);
    let (mut payloads, mut bytes) = (Vec::new(), 0);
    while payloads.len() < MAX_PAYLOADS && bytes < MAX_BYTES {
        match timeout_at(deadline, subscription.next()).await {
            Ok(Ok(delivery)) if delivery.address == *address => {
                bytes += delivery.payload.len();
                payloads.push(delivery.payload);
            }
            Ok(Err(error)) if !error.is_retryable() => return Err(error),
            Ok(_) => tokio::time::sleep(QUIET / 10).await,
            Err(_) => break,
        }
        if !payloads.is_empty() {
            #[allow(
                clippy::disallowed_methods,
                reason = "waiting for a service takes real time"
            )]
            let now = Instant::now();
            deadline = end.min(now + QUIET);
        }
    }
    Ok(payloads)
}
