//! A group of up to three that orders its commits by conditional publish and
//! invites its members itself.
//!
//! Whoever wants to add a member publishes an *add* to the group's commit
//! address, on the condition that nothing came after the last commit seen. The
//! first add of an epoch in the address's order is the commit, for everybody
//! and its own author too: only once it came back in its place is it merged and
//! the invite put out.

mod state;
mod step;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{
    Conversation, ConversationId, ConversationProtocol, Created, DeliveryPoint, Env, Error,
    ErrorKind, Identity, Input, MadeOffer, OfferRequest, Output, PointInfo, Properties, ProtocolId,
    RecordChange, Result, Secret, Setup, Tag,
};
use hkdf::Hkdf;
use sha2::Sha256;

use self::state::{Group, Member, State};
use self::step::Step;
use super::codec::{decode, encode, fields};

const ID: ProtocolId = ProtocolId::from_static("/probe/conversation/group/1");
const HEAD: &[u8] = b"head";
/// The most members.
const MAX_MEMBERS: usize = 3;

/// Makes groups and joins them.
pub(crate) struct ToyGroup(ProtocolId);

impl ToyGroup {
    pub(crate) fn new() -> Self {
        Self(ID)
    }
}

/// What an invite's parameters carry: the secret, and the group as of the
/// commit that adds the reader, who is its last member.
struct Welcome {
    group: Group,
    epoch: u64,
    members: Vec<Member>,
    cursor: Option<cf_core::Cursor>,
}
fields!(Welcome {
    group,
    epoch,
    members,
    cursor
});

impl ConversationProtocol for ToyGroup {
    fn id(&self) -> &ProtocolId {
        &self.0
    }

    fn specification(&self) -> &str {
        "https://chat-framework.example/probe/group/1"
    }

    fn properties(&self) -> Properties {
        Properties {
            authenticated: true,
            bidirectional: true,
            max_participants: Some(MAX_MEMBERS as u32),
            needs_conditional_publish: true,
            ..Properties::default()
        }
    }

    fn make_offer(&self, _: OfferRequest, _: &mut Env<'_>) -> Result<Option<MadeOffer>> {
        Ok(None)
    }

    fn create(&self, setup: Setup, env: &mut Env<'_>) -> Result<Created> {
        if setup.peer.is_some() {
            return Err(Error::misuse(
                "a group starts alone: invite members afterwards",
            ));
        }
        let own = setup.points.first();
        let own = own.ok_or_else(|| Error::misuse("a group needs a point of its own"))?;
        let group = Group {
            secret: Secret::from(&env.draw::<32>()[..]),
            home: own.point.clone(),
        };
        let founder = Member::new(Some(setup.identity.id().clone()));
        let state = State::new(group, checked(own)?, 0, vec![founder], None);
        let instance = Instance::begin(state, setup.identity, env, |_| Ok(()))?;
        Ok(Created {
            conversation: Box::new(instance),
            parameters: Bytes::new(),
        })
    }

    fn join(&self, setup: Setup, env: &mut Env<'_>) -> Result<Box<dyn Conversation>> {
        let Welcome {
            group,
            epoch,
            mut members,
            cursor,
        } = decode(setup.parameters)?;
        let me = setup.identity.id();
        let own = members
            .len()
            .checked_sub(1)
            .filter(|_| members.len() <= MAX_MEMBERS);
        let own = own.ok_or_else(|| Error::malformed("a group has one to three members"))?;
        if members[own].participant.get_or_insert_with(|| me.clone()) != me {
            return Err(Error::rejected("the group has added another participant"));
        }
        let peers = setup.peer.iter().flat_map(|peer| &peer.points);
        let known = setup.points.iter().chain(peers).chain(&setup.arrived_at);
        let mut known = known.filter(|info| same_service(&info.point, &group.home));
        let home = known
            .next()
            .ok_or_else(|| Error::unsupported("no way to the group's service"));
        let max_body_len = checked(home?)?;
        let state = State::new(group, max_body_len, epoch, members, cursor);
        let instance = Instance::begin(state, setup.identity, env, |step| step.join())?;
        Ok(Box::new(instance))
    }

    fn restore(
        &self,
        _: ConversationId,
        identity: Arc<dyn Identity>,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Conversation>> {
        let damaged = |_| Error::new(ErrorKind::Other, "the head is damaged");
        let head = env.records.get(HEAD)?.unwrap_or_default();
        let state: State = decode(head.clone()).map_err(damaged)?;
        Ok(Box::new(Instance {
            outputs: in_force(&state),
            state,
            head,
            identity,
        }))
    }
}

/// A group as one of its members has it.
struct Instance {
    state: State,
    /// The record of the state.
    head: Bytes,
    identity: Arc<dyn Identity>,
    outputs: VecDeque<Output>,
}

impl Instance {
    fn begin(
        state: State,
        identity: Arc<dyn Identity>,
        env: &Env<'_>,
        first: impl FnOnce(&mut Step<'_>) -> Result<()>,
    ) -> Result<Self> {
        let outputs = in_force(&state);
        let mut instance = Self {
            state,
            head: Bytes::new(),
            identity,
            outputs,
        };
        instance.step(env, first)?;
        Ok(instance)
    }

    /// Takes a step in a copy of the state, so that one that fails leaves no
    /// trace; what the state then expects differently follows from the two.
    fn step(
        &mut self,
        env: &Env<'_>,
        take: impl FnOnce(&mut Step<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut step = Step {
            state: self.state.clone(),
            identity: &*self.identity,
            now: env.now,
            outputs: Vec::new(),
        };
        take(&mut step)?;
        let Step { state, outputs, .. } = step;
        let (before, after) = (self.state.expected(), state.expected());
        // A member who came or became known makes waiting frames worth another try.
        let again = self.state.known_members() != state.known_members();
        let expect = after.iter().filter(|tag| again || !before.contains(tag));
        self.outputs.extend(expect.map(|tag| Output::Expect(*tag)));
        let forget = before.iter().filter(|tag| !after.contains(tag));
        self.outputs.extend(forget.map(|tag| Output::Forget(*tag)));
        self.outputs.extend(outputs);
        let head = Bytes::from(encode(&state));
        if head != self.head {
            self.head = head.clone();
            let (key, value) = (Bytes::from_static(HEAD), head);
            let change = RecordChange::Put { key, value };
            self.outputs.push_back(Output::Record(change));
        }
        self.state = state;
        Ok(())
    }
}

impl Conversation for Instance {
    fn handle(&mut self, input: Input, env: &mut Env<'_>) -> Result<()> {
        self.step(env, |step| step.take(input))
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn export(&self, label: &str) -> Result<Secret> {
        let mut exported = vec![0; 32];
        let hkdf = Hkdf::<Sha256>::new(None, self.state.group.secret.expose());
        let info = [ID.as_str(), " export ", label].concat();
        hkdf.expand(info.as_bytes(), &mut exported)
            .expect("a derivation of 32 bytes");
        Ok(Secret::new(exported))
    }
}

/// The listens, tags and wake that a state asks for.
fn in_force(state: &State) -> VecDeque<Output> {
    if state.closed {
        return VecDeque::new();
    }
    let listens = [state.group.commits(), state.group.messages()].map(Output::Listen);
    let expects = state.expected().into_iter().map(Output::Expect);
    listens
        .into_iter()
        .chain(expects)
        .chain(state.retry_at.map(Output::WakeAt))
        .collect()
}

/// How long a body may be at a point that can carry a group.
fn checked(info: &PointInfo) -> Result<u64> {
    let can = &info.capabilities;
    match can.conditional_publish && can.order && can.retention.is_some() {
        true => Ok(info.max_body_len as u64),
        false => Err(Error::unsupported(
            "a group needs order, retention and conditional publish",
        )),
    }
}

fn same_service(one: &DeliveryPoint, other: &DeliveryPoint) -> bool {
    one.locator == other.locator && one.framing == other.framing
}

/// The tag of every frame, which all members share.
fn standing(state: &State) -> Tag {
    Tag::Standing(state.group.standing())
}
