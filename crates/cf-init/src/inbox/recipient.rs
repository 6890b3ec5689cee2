use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{
    BundleId, BundleSpec, DeliveryPoint, Env, Identity, Inbox, InboxOutput, Invitation, Opened,
    Recognized, RecordChange, Result, RoutingTag, Scan, Timestamp,
};
use zeroize::Zeroizing;

use super::bundle::{Bundle, BundleKeys};
use super::invite::{self, Head, SEALED_HEAD_LEN, SEALED_IDENTITY_LEN};
use super::schedule::{self, Unidentified};
use super::{CLOCK_SKEW, Limits, MAX_BUNDLE_LEN, MAX_BUNDLES, record};
use crate::InitError;
use crate::crypto::{AgreementSecret, KemSecret};
use crate::padded;

/// All bundles of one client.
pub(super) struct Recipient {
    identity: Arc<dyn Identity>,
    limits: Limits,
    bundles: BTreeMap<BundleId, Kept>,
    /// Which bundles name a point; none without a bundle.
    points: BTreeMap<DeliveryPoint, Vec<BundleId>>,
    wake: Option<Timestamp>,
    outputs: VecDeque<InboxOutput>,
}

/// A bundle and what its owner keeps.
pub(super) struct Kept {
    pub(super) public: Bundle,
    /// The bundle as discovery carries it.
    pub(super) exact: Bytes,
    /// `None` once an invite used it up.
    pub(super) private: Option<PrivateKeys>,
    /// How many invites were opened with it.
    pub(super) invites: u32,
    /// Whether its time is over: it has no keys, and tells what comes too late from
    /// what is nobody's.
    pub(super) over: bool,
}

/// The private keys of a bundle; all of them are made for it alone.
pub(super) struct PrivateKeys {
    pub(super) signed_prekey: AgreementSecret,
    pub(super) kem: KemSecret,
    pub(super) one_time_prekey: Option<AgreementSecret>,
}

impl Recipient {
    /// Makes the inbox that the records hold.
    pub(super) fn restore(
        identity: Arc<dyn Identity>,
        limits: Limits,
        env: &mut Env<'_>,
    ) -> Result<Self> {
        let mut inbox = Self {
            identity,
            limits,
            bundles: BTreeMap::new(),
            points: BTreeMap::new(),
            wake: None,
            outputs: VecDeque::new(),
        };
        for (_, value) in env.records.scan(&Scan::prefix(record::BUNDLES))? {
            inbox.keep(record::read_bundle(&value)?);
        }
        for (key, value) in env.records.scan(&Scan::prefix(record::EPHEMERALS))? {
            let bundle = record::read_ephemeral(&key, &value)?;
            match inbox.bundles.get_mut(&bundle) {
                Some(kept) => kept.invites = kept.invites.saturating_add(1),
                None => inbox.put_out(RecordChange::Delete { key }),
            }
        }
        inbox.update_wake();
        Ok(inbox)
    }

    /// Adds a bundle and listens at its points.
    fn keep(&mut self, kept: Kept) {
        let id = kept.public.spec.id;
        for point in &kept.public.spec.points {
            let bundles = self.points.entry(point.clone()).or_default();
            if bundles.is_empty() {
                self.outputs.push_back(InboxOutput::Listen(point.clone()));
            }
            if !bundles.contains(&id) {
                bundles.push(id);
            }
        }
        self.bundles.insert(id, kept);
    }

    /// Deletes the keys of a bundle whose time is over, and all that it remembers.
    fn close(&mut self, id: BundleId, env: &mut Env<'_>) {
        self.forget_ephemerals(id, env);
        if let Some(kept) = self.bundles.get_mut(&id) {
            (kept.private, kept.invites, kept.over) = (None, 0, true);
            let change = record::put_bundle(kept);
            self.put_out(change);
        }
    }

    /// Removes a bundle, its keys and all that it remembers.
    fn remove(&mut self, id: BundleId, env: &mut Env<'_>) {
        let Some(kept) = self.bundles.remove(&id) else {
            return;
        };
        for point in kept.public.spec.points {
            if let Some(bundles) = self.points.get_mut(&point) {
                bundles.retain(|other| *other != id);
                if bundles.is_empty() {
                    self.points.remove(&point);
                    self.outputs.push_back(InboxOutput::Unlisten(point));
                }
            }
        }
        self.put_out(record::delete_bundle(id));
        self.forget_ephemerals(id, env);
    }

    fn forget_ephemerals(&mut self, id: BundleId, env: &mut Env<'_>) {
        // Where the records can't be read now, these stay behind until the
        // next restore; without their bundle they mean nothing.
        let ephemerals = env.records.scan(&Scan::prefix(record::ephemerals_of(id)));
        for (key, _) in ephemerals.unwrap_or_default() {
            self.put_out(RecordChange::Delete { key });
        }
    }

    /// When the private keys of a bundle are deleted.
    fn deadline(&self, spec: &BundleSpec) -> Timestamp {
        spec.expires_at.after(self.limits.retention)
    }

    /// When something of a bundle is to be deleted next.
    fn next_end(&self, kept: &Kept) -> Timestamp {
        let deadline = self.deadline(&kept.public.spec);
        match kept.over {
            true => deadline.after(self.limits.retention),
            false => deadline,
        }
    }

    fn update_wake(&mut self) {
        let next = self.bundles.values().map(|kept| self.next_end(kept)).min();
        if next != self.wake {
            self.wake = next;
            let at = next.unwrap_or(Timestamp::NEVER);
            self.outputs.push_back(InboxOutput::WakeAt(at));
        }
    }

    fn put_out(&mut self, change: RecordChange) {
        self.outputs.push_back(InboxOutput::Record(change));
    }

    fn check_spec(&self, spec: &BundleSpec, env: &Env<'_>) -> Result<(), InitError> {
        if spec.points.is_empty() {
            return Err(InitError::UnusableBundle("it has no delivery point"));
        }
        if spec.expires_at <= env.now {
            return Err(InitError::UnusableBundle("it has expired"));
        }
        if self.bundles.contains_key(&spec.id) {
            return Err(InitError::UnusableBundle("its id is in use"));
        }
        if self.bundles.len() >= MAX_BUNDLES {
            return Err(InitError::UnusableBundle(
                "1,024 bundles are kept; revoke one",
            ));
        }
        Ok(())
    }

    /// Opens all layers of an invite. Changes nothing.
    fn open_layers(
        &self,
        kept: &Kept,
        layers: &Layers<'_>,
        recognized: &Recognized,
        now: Timestamp,
    ) -> Result<Invitation> {
        let private = kept.private.as_ref().ok_or(InitError::UsedUp)?;
        let ephemeral = &layers.head.ephemeral;
        let own = &kept.public.keys.agreement_key.public;

        let unidentified = Unidentified::new(
            &kept.public.signed,
            &kept.public.signature,
            layers.head_bytes,
            private.signed_prekey.agree(ephemeral)?,
            self.identity.agree(own, ephemeral)?,
            private.kem.decapsulate(&layers.head.kem_ciphertext),
        );
        let plaintext = unidentified
            .identity_key()
            .open(layers.sealed_identity, unidentified.t0())
            .ok_or(InitError::NotAuthentic)?;
        let (from, sender_key) = invite::decode_identity(&plaintext)?;
        self.identity
            .verify_agreement_key(&from, &sender_key, now)?;

        let dh3 = private.signed_prekey.agree(&sender_key.public)?;
        let dh4 = match &private.one_time_prekey {
            Some(key) => Some(key.agree(ephemeral)?),
            None => None,
        };
        let identified =
            unidentified.identify(layers.sealed_identity, &plaintext, &dh3, dh4.as_ref());
        let plaintext = identified
            .invite_key()
            .open(layers.sealed_invite, identified.t1())
            .ok_or(InitError::NotAuthentic)?;
        let invite = invite::decode_invite(&plaintext)?;
        if invite.sent_at < now.before(self.limits.retention) {
            return Err(InitError::TooOld.into());
        }
        if invite.sent_at > now.after(CLOCK_SKEW) {
            return Err(InitError::FromTheFuture.into());
        }
        Ok(Invitation {
            exported: identified.exported(&invite.conversation),
            precedence: identified.precedence(layers.sealed_invite),
            invite,
            from: Some(from),
            bundle: recognized.bundle,
            point: recognized.point.clone(),
        })
    }
}

impl Inbox for Recipient {
    fn make_bundle(&mut self, spec: BundleSpec, env: &mut Env<'_>) -> Result<Bytes> {
        self.check_spec(&spec, env)?;
        let agreement_key = self.identity.agreement_key(env.now)?;
        if self.deadline(&spec) > agreement_key.not_after {
            return Err(InitError::UnusableBundle(
                "the identity's agreement key expires before the last invite may arrive",
            )
            .into());
        }
        let private = PrivateKeys {
            signed_prekey: AgreementSecret::new(&Zeroizing::new(env.draw())),
            kem: KemSecret::new(&Zeroizing::new(env.draw())),
            one_time_prekey: spec
                .one_time
                .then(|| AgreementSecret::new(&Zeroizing::new(env.draw()))),
        };
        let keys = BundleKeys {
            agreement_key,
            signed_prekey: private.signed_prekey.public(),
            kem_key: Bytes::copy_from_slice(&private.kem.public()),
            one_time_prekey: private
                .one_time_prekey
                .as_ref()
                .map(AgreementSecret::public),
            token: env.draw(),
        };
        let exact = Bundle::sign(&*self.identity, &spec, &keys)?;
        if exact.len() > MAX_BUNDLE_LEN {
            return Err(InitError::UnusableBundle("it is longer than 32 KiB").into());
        }
        // What nobody would read is not given out.
        let public = Bundle::decode(&exact).map_err(|error| match error {
            InitError::MalformedBundle(fault) => InitError::UnusableBundle(fault),
            other => other,
        })?;
        let kept = Kept {
            public,
            exact: exact.clone(),
            private: Some(private),
            invites: 0,
            over: false,
        };
        self.put_out(record::put_bundle(&kept));
        self.keep(kept);
        self.update_wake();
        Ok(exact)
    }

    fn recognize(
        &self,
        point: &DeliveryPoint,
        tag: RoutingTag,
        body: &Bytes,
    ) -> Option<Recognized> {
        if !padded::is_body_len(body.len()) {
            return None;
        }
        let (sealed_head, rest) = body.split_at_checked(SEALED_HEAD_LEN)?;
        self.points.get(point)?.iter().find_map(|id| {
            let token = &self.bundles.get(id)?.public.keys.token;
            let key = schedule::head_key(tag, token);
            let mut head = key.open_with_room(sealed_head, &[], body.len())?;
            if Head::bundle(&head)? != *id {
                return None;
            }
            // A head is no secret: every holder of the link can open it.
            let mut state = std::mem::take(&mut *head);
            state.extend_from_slice(rest);
            Some(Recognized {
                bundle: *id,
                point: point.clone(),
                state: state.into(),
            })
        })
    }

    fn open(&mut self, recognized: Recognized, env: &mut Env<'_>) -> Result<Opened> {
        let id = recognized.bundle;
        let kept = self.bundles.get(&id).ok_or(InitError::UnknownBundle)?;
        let layers = Layers::split(&recognized.state)
            .filter(|layers| layers.head.bundle == id)
            .ok_or(InitError::MalformedInvite("not what was recognized"))?;
        if env.now >= self.deadline(&kept.public.spec) {
            return Err(InitError::Expired.into());
        }
        let seen = record::ephemeral_key(id, &layers.head.ephemeral);
        if env.records.get(&seen)?.is_some() {
            return Ok(Opened::Repeated);
        }
        if kept.private.is_some() && kept.invites >= self.limits.max_invites {
            return Err(InitError::BundleFull(self.limits.max_invites).into());
        }
        let invitation = self.open_layers(kept, &layers, &recognized, env.now)?;

        // Everything authenticated: from here on nothing fails.
        self.put_out(record::put_ephemeral(id, &layers.head.ephemeral));
        if let Some(kept) = self.bundles.get_mut(&id) {
            kept.invites = kept.invites.saturating_add(1);
            if kept.public.spec.one_time {
                kept.private = None;
                let change = record::put_bundle(kept);
                self.put_out(change);
            }
        }
        Ok(Opened::New(Box::new(invitation)))
    }

    fn revoke(&mut self, bundle: BundleId, env: &mut Env<'_>) {
        self.remove(bundle, env);
        self.update_wake();
    }

    fn handle_time(&mut self, env: &mut Env<'_>) {
        let due = self
            .bundles
            .values()
            .filter(|kept| env.now >= self.next_end(kept));
        let due = due.map(|kept| {
            let end = self
                .deadline(&kept.public.spec)
                .after(self.limits.retention);
            // What was used up has had its invite.
            let closes = kept.private.is_some() && env.now < end;
            (kept.public.spec.id, closes)
        });
        for (id, closes) in due.collect::<Vec<_>>() {
            match closes {
                true => self.close(id, env),
                false => self.remove(id, env),
            }
        }
        self.update_wake();
    }

    fn poll_output(&mut self) -> Option<InboxOutput> {
        self.outputs.pop_front()
    }
}

/// An invite whose head is open.
struct Layers<'a> {
    head: Head,
    head_bytes: &'a [u8],
    sealed_identity: &'a [u8],
    sealed_invite: &'a [u8],
}

impl<'a> Layers<'a> {
    fn split(state: &'a [u8]) -> Option<Self> {
        let (head_bytes, rest) = state.split_at_checked(invite::HEAD_LEN)?;
        let (sealed_identity, sealed_invite) = rest.split_at_checked(SEALED_IDENTITY_LEN)?;
        Some(Self {
            head: Head::decode(head_bytes)?,
            head_bytes,
            sealed_identity,
            sealed_invite,
        })
    }
}
