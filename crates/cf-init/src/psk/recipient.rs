use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use cf_core::{
    BundleId, BundleSpec, DeliveryPoint, Env, Inbox, InboxOutput, Invitation, Opened, Recognized,
    RecordChange, Result, RoutingTag, Scan, Timestamp,
};

use super::Limits;
use super::bundle::Bundle;
use super::schedule::{Psk, SALT_LEN, Salt};
use crate::crypto::SEAL_LEN;
use crate::inbox::CLOCK_SKEW;
use crate::{InitError, MAX_BUNDLES, padded, wire};

/// The length of a sealed head: the bundle's id.
const SEALED_HEAD_LEN: usize = 16 + SEAL_LEN;

/// Everything in a body but the plaintext of the invite:
/// `salt 32 ‖ sealed head 32 ‖ sealed invite`.
pub(super) const FIXED_LEN: usize = SALT_LEN + SEALED_HEAD_LEN + SEAL_LEN;

/// The version of all records.
const VERSION: u8 = 1;
/// What the key of a bundle's record starts with; then comes its id. Its value is
/// the version and the bundle.
const BUNDLES: &[u8] = b"b";
/// What the key of an opened invite's record starts with; then come the bundle's id
/// and the invite's salt. Its value is the version.
const SALTS: &[u8] = b"s";

/// All bundles of one client.
pub(super) struct Recipient {
    psk: Psk,
    limits: Limits,
    bundles: BTreeMap<BundleId, Kept>,
    wake: Option<Timestamp>,
    outputs: VecDeque<InboxOutput>,
}

struct Kept {
    bundle: Bundle,
    /// How many invites were opened with it.
    invites: u32,
}

impl Recipient {
    /// Makes the inbox that the records hold.
    pub(super) fn restore(psk: Psk, limits: Limits, env: &mut Env<'_>) -> Result<Self> {
        let mut inbox = Self {
            psk,
            limits,
            bundles: BTreeMap::new(),
            wake: None,
            outputs: VecDeque::new(),
        };
        for (_, value) in env.records.scan(&Scan::prefix(BUNDLES))? {
            let exact = versioned(&value)?;
            let bundle = Bundle::open(&inbox.psk, &exact);
            inbox.keep(bundle.map_err(|_| InitError::DamagedRecord)?);
        }
        for (key, value) in env.records.scan(&Scan::prefix(SALTS))? {
            versioned(&value)?;
            let id = key.get(1..17).ok_or(InitError::DamagedRecord)?;
            match inbox.bundles.get_mut(&BundleId::from_slice(id)?) {
                Some(kept) => kept.invites = kept.invites.saturating_add(1),
                None => inbox.put_out(RecordChange::Delete { key }),
            }
        }
        inbox.update_wake();
        Ok(inbox)
    }

    /// Adds a bundle and listens at its points.
    fn keep(&mut self, bundle: Bundle) {
        let points: BTreeSet<_> = bundle.spec.points.iter().cloned().collect();
        for point in points {
            if !self.is_named(&point) {
                self.outputs.push_back(InboxOutput::Listen(point));
            }
        }
        let kept = Kept { bundle, invites: 0 };
        self.bundles.insert(kept.bundle.spec.id, kept);
    }

    /// Removes a bundle and all that it remembers.
    fn remove(&mut self, id: BundleId, env: &mut Env<'_>) {
        let Some(kept) = self.bundles.remove(&id) else {
            return;
        };
        let points: BTreeSet<_> = kept.bundle.spec.points.into_iter().collect();
        for point in points {
            if !self.is_named(&point) {
                self.outputs.push_back(InboxOutput::Unlisten(point));
            }
        }
        let key = [BUNDLES, id.as_bytes()].concat().into();
        self.put_out(RecordChange::Delete { key });
        // Where the records can't be read now, these stay behind until the next
        // restore; without their bundle they mean nothing.
        let prefix = [SALTS, id.as_bytes()].concat();
        let salts = env.records.scan(&Scan::prefix(prefix)).unwrap_or_default();
        for (key, _) in salts {
            self.put_out(RecordChange::Delete { key });
        }
    }

    fn is_named(&self, point: &DeliveryPoint) -> bool {
        let mut bundles = self.bundles.values();
        bundles.any(|kept| kept.bundle.spec.points.contains(point))
    }

    /// When the last invite for a bundle may come.
    fn deadline(&self, spec: &BundleSpec) -> Timestamp {
        spec.expires_at.after(self.limits.retention)
    }

    fn update_wake(&mut self) {
        let deadlines = self
            .bundles
            .values()
            .map(|kept| self.deadline(&kept.bundle.spec));
        let next = deadlines.min();
        if next != self.wake {
            self.wake = next;
            let at = next.unwrap_or(Timestamp::NEVER);
            self.outputs.push_back(InboxOutput::WakeAt(at));
        }
    }

    fn put_out(&mut self, change: RecordChange) {
        self.outputs.push_back(InboxOutput::Record(change));
    }

    fn check_room(&self, kept: &Kept) -> Result<(), InitError> {
        let max = self.limits.max_invites;
        match kept.bundle.spec.one_time {
            true if kept.invites > 0 => Err(InitError::UsedUp),
            _ if kept.invites >= max => Err(InitError::BundleFull(max)),
            _ => Ok(()),
        }
    }

    /// Opens and checks an invite. Changes nothing.
    fn open_invite(
        &self,
        kept: &Kept,
        recognized: &Recognized,
        now: Timestamp,
    ) -> Result<Invitation> {
        let Layers {
            tag,
            salt,
            sealed_invite,
        } = Layers::split(&recognized.state)
            .ok_or(InitError::MalformedInvite("not what was recognized"))?;
        let keys = self
            .psk
            .bind(&kept.bundle.exact, recognized.bundle, tag, salt);
        let plaintext = keys.invite_key().open(sealed_invite, keys.t0());
        let plaintext = plaintext.ok_or(InitError::NotAuthentic)?;
        let invite = padded::unpad(&plaintext).and_then(wire::invite);
        let invite = invite.map_err(InitError::MalformedInvite)?;
        if invite.sent_at < now.before(self.limits.retention) {
            return Err(InitError::TooOld.into());
        }
        if invite.sent_at > now.after(CLOCK_SKEW) {
            return Err(InitError::FromTheFuture.into());
        }
        Ok(Invitation {
            exported: keys.exported(&invite.conversation),
            precedence: keys.precedence(sealed_invite),
            invite,
            from: None,
            bundle: recognized.bundle,
            point: recognized.point.clone(),
        })
    }
}

impl Inbox for Recipient {
    fn make_bundle(&mut self, spec: BundleSpec, env: &mut Env<'_>) -> Result<Bytes> {
        let fault = match () {
            () if spec.expires_at <= env.now => Some("it has expired"),
            () if self.deadline(&spec) == Timestamp::NEVER => Some("it never expires"),
            () if self.bundles.contains_key(&spec.id) => Some("its id is in use"),
            () if self.bundles.len() >= MAX_BUNDLES => Some("1,024 bundles are kept; revoke one"),
            () => None,
        };
        if let Some(fault) = fault {
            return Err(InitError::UnusableBundle(fault).into());
        }
        let bundle = Bundle::seal(&self.psk, spec, &env.draw())?;
        let exact = bundle.exact.clone();
        let key = [BUNDLES, bundle.spec.id.as_bytes()].concat().into();
        let value = [&[VERSION], &exact[..]].concat().into();
        self.put_out(RecordChange::Put { key, value });
        self.keep(bundle);
        self.update_wake();
        Ok(exact)
    }

    fn recognize(
        &self,
        point: &DeliveryPoint,
        tag: RoutingTag,
        body: &Bytes,
    ) -> Option<Recognized> {
        if !padded::is_body_len(body.len()) || !self.is_named(point) {
            return None;
        }
        let (salt, rest) = body.split_first_chunk::<SALT_LEN>()?;
        let sealed_head = rest.get(..SEALED_HEAD_LEN)?;
        let head = self.psk.head_key(tag, salt).open(sealed_head, &[])?;
        let bundle = BundleId::from_slice(&head).ok()?;
        let spec = &self.bundles.get(&bundle)?.bundle.spec;
        spec.points.contains(point).then(|| Recognized {
            bundle,
            point: point.clone(),
            state: [tag.as_bytes(), &body[..]].concat().into(),
        })
    }

    fn open(&mut self, recognized: Recognized, env: &mut Env<'_>) -> Result<Opened> {
        let id = recognized.bundle;
        let kept = self.bundles.get(&id).ok_or(InitError::UnknownBundle)?;
        let layers = Layers::split(&recognized.state)
            .ok_or(InitError::MalformedInvite("not what was recognized"))?;
        let seen: Bytes = [SALTS, id.as_bytes(), layers.salt].concat().into();
        if env.now >= self.deadline(&kept.bundle.spec) {
            return Err(InitError::Expired.into());
        }
        // Opened before anything is answered: the salt alone is no proof that the
        // bytes are those of before.
        let invitation = self.open_invite(kept, &recognized, env.now)?;
        if env.records.get(&seen)?.is_some() {
            return Ok(Opened::Repeated);
        }
        self.check_room(kept)?;

        // Everything authenticated: from here on nothing fails.
        let value = Bytes::from_static(&[VERSION]);
        self.put_out(RecordChange::Put { key: seen, value });
        if let Some(kept) = self.bundles.get_mut(&id) {
            kept.invites = kept.invites.saturating_add(1);
        }
        Ok(Opened::New(Box::new(invitation)))
    }

    fn revoke(&mut self, bundle: BundleId, env: &mut Env<'_>) {
        self.remove(bundle, env);
        self.update_wake();
    }

    fn handle_time(&mut self, env: &mut Env<'_>) {
        let specs = self.bundles.values().map(|kept| &kept.bundle.spec);
        let over = specs.filter(|spec| env.now >= self.deadline(spec));
        let over: Vec<_> = over.map(|spec| spec.id).collect();
        for id in over {
            self.remove(id, env);
        }
        self.update_wake();
    }

    fn poll_output(&mut self) -> Option<InboxOutput> {
        self.outputs.pop_front()
    }
}

/// A frame that was recognized.
struct Layers<'a> {
    tag: RoutingTag,
    salt: &'a Salt,
    sealed_invite: &'a [u8],
}

impl<'a> Layers<'a> {
    fn split(state: &'a [u8]) -> Option<Self> {
        let (tag, rest) = state.split_first_chunk()?;
        let (salt, rest) = rest.split_first_chunk()?;
        Some(Self {
            tag: RoutingTag(*tag),
            salt,
            sealed_invite: rest.get(SEALED_HEAD_LEN..)?,
        })
    }
}

/// What stands behind the version of a record.
fn versioned(value: &Bytes) -> Result<Bytes, InitError> {
    match value.first() {
        Some(&VERSION) => Ok(value.slice(1..)),
        Some(version) => Err(InitError::NewerRecord(*version)),
        None => Err(InitError::DamagedRecord),
    }
}
