use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    AgreementKey, Identity, ParticipantId, ProtocolId, Random, Result, Secret, Timestamp,
};
use ed25519_dalek::SigningKey;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::certificate::{self, MAX_VALIDITY};
use crate::{IdentityError, crypto};

/// The scheme of this identity.
pub const SCHEME: ProtocolId = ProtocolId::from_static("/cf/identity/ed25519/1");

/// The length of a seed, in bytes.
pub const SEED_LEN: usize = 32;

/// How long an agreement key is handed out before the next one is.
pub const PERIOD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const PERIOD_MS: u64 = PERIOD.as_millis() as u64;
const MAX_VALIDITY_MS: u64 = MAX_VALIDITY.as_millis() as u64;

/// The last period whose end is before the year 2100.
const LAST_PERIOD: u64 = 4_102_444_800_000 / PERIOD_MS;

/// How many agreement keys are kept beside the seed: those that may be valid at once.
const MAX_KEPT: usize = (MAX_VALIDITY_MS / PERIOD_MS) as usize;

/// An identity whose keys are in memory and come from one seed.
///
/// Agreement keys belong to periods of 30 days since 1970 and are derived from
/// the seed, so nothing but the seed is ever stored. Each is certified for the
/// 90 days from the start of its period.
pub struct SoftwareIdentity {
    seed: Secret,
    signing: SigningKey,
    id: ParticipantId,
    /// The time that was last heard; 0 before the first.
    heard: AtomicU64,
    /// The agreement keys that were used last, so that none is derived and certified
    /// for each use.
    kept: Mutex<Vec<Kept>>,
}

/// An agreement key of a period.
#[derive(Clone)]
struct Kept {
    period: u64,
    secret: StaticSecret,
    public: [u8; 32],
    certificate: Option<Bytes>,
}

impl SoftwareIdentity {
    /// Makes the identity of a seed.
    ///
    /// # Errors
    /// `Misuse` unless there are [`SEED_LEN`] bytes.
    pub fn from_seed(seed: Secret) -> Result<Self> {
        if seed.expose().len() != SEED_LEN {
            return Err(IdentityError::SeedLength(seed.expose().len()).into());
        }
        let label = format!("{SCHEME} signature");
        let signing = SigningKey::from_bytes(&crypto::derive(seed.expose(), &[label.as_bytes()]));
        let id = ParticipantId::new(signing.verifying_key().to_bytes().to_vec())?;
        Ok(Self {
            seed,
            signing,
            id,
            heard: AtomicU64::new(0),
            kept: Mutex::default(),
        })
    }

    /// Makes a new identity.
    ///
    /// # Errors
    /// None for a generator that keeps its contract.
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        let mut seed = vec![0; SEED_LEN];
        random.fill(&mut seed);
        Self::from_seed(Secret::new(seed))
    }

    /// The seed: whoever has it is this participant.
    pub fn seed(&self) -> &Secret {
        &self.seed
    }

    /// Derives the key of a period.
    fn derive(&self, period: u64) -> Kept {
        let label = format!("{SCHEME} agreement");
        let info: [&[u8]; 2] = [label.as_bytes(), &period.to_be_bytes()];
        let secret = StaticSecret::from(*crypto::derive(self.seed.expose(), &info));
        Kept {
            period,
            public: *PublicKey::from(&secret).as_bytes(),
            secret,
            certificate: None,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        // What is kept is always whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: Kept) {
        let mut kept = self.kept();
        kept.retain(|other| other.period != key.period);
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        kept.push(key);
    }

    /// The key of a period, and its certificate.
    fn certified(&self, period: u64) -> AgreementKey {
        let known = self.kept().iter().find(|key| key.period == period).cloned();
        let mut key = known.unwrap_or_else(|| self.derive(period));
        let not_before = Timestamp(period * PERIOD_MS);
        let not_after = Timestamp(not_before.0.saturating_add(MAX_VALIDITY_MS - 1));
        let certificate = key.certificate.take().unwrap_or_else(|| {
            let signed = certificate::signed_bytes(&key.public, not_before, not_after);
            let certificate = self.sign_unchecked(&certificate::label(), &signed);
            key.certificate = Some(certificate.clone());
            self.keep(key.clone());
            certificate
        });
        AgreementKey {
            public: key.public,
            not_before,
            not_after,
            certificate,
        }
    }

    /// The secret of an agreement key, if it is valid at the time last heard.
    ///
    /// `agree` is not told the time. Whoever holds an agreement key had it from
    /// a call that was, except right after a restart; then every period is
    /// tried, which takes some milliseconds, once.
    fn find_secret(&self, public: &[u8; 32]) -> Option<StaticSecret> {
        let heard = self.heard.load(Ordering::Relaxed);
        let periods = if heard == 0 {
            0..=LAST_PERIOD
        } else {
            let current = heard / PERIOD_MS;
            current.saturating_sub((MAX_VALIDITY_MS / PERIOD_MS) - 1)..=current
        };
        let is_it = |key: &Kept| key.public == *public && periods.contains(&key.period);
        if let Some(key) = self.kept().iter().find(|key| is_it(key)) {
            return Some(key.secret.clone());
        }
        let mut derived = periods.clone().rev().map(|period| self.derive(period));
        let found = derived.find(|key| key.public == *public)?;
        self.keep(found.clone());
        Some(found.secret)
    }

    fn hear(&self, now: Timestamp) {
        self.heard.store(now.0, Ordering::Relaxed);
    }

    fn sign_unchecked(&self, label: &str, bytes: &[u8]) -> Bytes {
        crypto::sign(&self.signing, &labelled(label, bytes))
            .to_vec()
            .into()
    }
}

impl Identity for SoftwareIdentity {
    fn scheme(&self) -> &ProtocolId {
        const { &SCHEME }
    }

    fn id(&self) -> &ParticipantId {
        &self.id
    }

    fn sign(&self, label: &str, bytes: &[u8]) -> Result<Bytes> {
        check_label(label)?;
        // Else whoever may sign anything could certify keys of their own.
        if label.starts_with(SCHEME.as_str()) {
            return Err(IdentityError::ReservedLabel.into());
        }
        Ok(self.sign_unchecked(label, bytes))
    }

    fn verify(
        &self,
        signer: &ParticipantId,
        label: &str,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        check_label(label)?;
        Ok(crypto::verify(
            signer.as_bytes(),
            &labelled(label, bytes),
            signature,
        )?)
    }

    fn agreement_key(&self, now: Timestamp) -> Result<AgreementKey> {
        self.hear(now);
        Ok(self.certified(now.0 / PERIOD_MS))
    }

    fn agree(&self, own: &[u8; 32], peer: &[u8; 32]) -> Result<Secret> {
        let own = self
            .find_secret(own)
            .ok_or(IdentityError::UnknownAgreementKey)?;
        Ok(crypto::agree(&own, peer)?)
    }

    fn verify_agreement_key(
        &self,
        owner: &ParticipantId,
        key: &AgreementKey,
        now: Timestamp,
    ) -> Result<()> {
        self.hear(now);
        certificate::check_times(key, now)?;
        let signed = certificate::signed_bytes(&key.public, key.not_before, key.not_after);
        self.verify(owner, &certificate::label(), &signed, &key.certificate)
    }
}

impl fmt::Debug for SoftwareIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareIdentity")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn check_label(label: &str) -> Result<()> {
    if label.contains('\0') {
        return Err(IdentityError::ZeroInLabel.into());
    }
    Ok(())
}

fn labelled(label: &str, bytes: &[u8]) -> Vec<u8> {
    [label.as_bytes(), &[0], bytes].concat()
}
