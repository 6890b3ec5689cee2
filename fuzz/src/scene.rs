//! What the targets share: places, people, times.

use cf_core::{
    Capabilities, DeliveryAddress, DeliveryPoint, EmptyRecords, Env, Locator, PointInfo,
    ProtocolId, Random, Timestamp,
};
use hkdf::Hkdf;
use sha2::Sha256;

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub(crate) const MAX_BODY: usize = 16 * 1024;

pub(crate) fn point(name: &str) -> DeliveryPoint {
    DeliveryPoint {
        locator: Locator::parse("memory:fuzz").expect("a locator"),
        address: DeliveryAddress::new(name.as_bytes().to_vec()).expect("an address"),
        framing: ProtocolId::from_static("/cf/framing/tagged/1"),
    }
}

pub(crate) fn info(name: &str) -> PointInfo {
    PointInfo {
        point: point(name),
        max_body_len: MAX_BODY,
        capabilities: Capabilities::none(MAX_BODY + 64),
    }
}

/// For calls that need no records.
pub(crate) fn env(random: &mut dyn Random) -> Env<'_> {
    Env {
        now: NOW,
        random,
        records: &EmptyRecords,
    }
}

/// Runs a future whose timers fire as soon as nothing else can happen.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(future)
}

/// HKDF-SHA-256: what the seals of the specification pages are derived with, so
/// that a target gets behind them.
pub(crate) fn derive<const N: usize>(salt: Option<&[u8]>, secret: &[u8], info: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let expanded = Hkdf::<Sha256>::new(salt, secret).expand(info, &mut out);
    expanded.expect("short enough");
    out
}

/// AES-256-GCM under a key of 32 bytes and a nonce of 12.
pub(crate) fn seal(key: &[u8; 44], plaintext: &[u8], additional: &[u8]) -> Vec<u8> {
    use aes_gcm::aead::{Aead, Payload};
    use aes_gcm::{Aes256Gcm, KeyInit};
    let (key, nonce) = key.split_first_chunk::<32>().expect("44 bytes");
    let nonce: &[u8; 12] = nonce.first_chunk().expect("12 bytes");
    let payload = Payload {
        msg: plaintext,
        aad: additional,
    };
    let sealed = Aes256Gcm::new(key.into()).encrypt(nonce.into(), payload);
    sealed.expect("short enough")
}
