use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use cf_core::*;
use cf_testkit::framing::*;
use cf_testkit::{FramingUnderTest, UnderTest};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::assert_broken;

cf_testkit::framing_tests!(a_value, || Toy::new(None));
cf_testkit::framing_tests!(boxed, || Box::new(Toy::new(None))
    as Box<dyn FramingStrategy>);
cf_testkit::framing_tests!(shared, || Arc::new(Toy::new(None))
    as Arc<dyn FramingStrategy>);
cf_testkit::framing_tests!(blinded, || Toy {
    blinded: true,
    ..Toy::new(None)
});

macro_rules! caught {
    ($($name:ident: $fault:ident by $law:ident in $check:ident;)+) => {$(
        #[test]
        fn $name() {
            let strategy = Arc::new(Toy::new(Some(Fault::$fault)));
            assert_broken($check(FramingUnderTest::of(strategy)), law::$law);
        }
    )+};
}

caught! {
    losing_the_last_byte: LosesTheLastByte by ROUND_TRIP
        in what_is_encoded_is_routed_to_the_same_tag_and_body;
    encoding_in_two_ways: EncodesInTwoWays by DETERMINISTIC in encoding_is_deterministic;
    taking_one_byte_too_many: TakesOneByteTooMany by LIMIT
        in a_body_of_the_limit_fits_and_one_byte_more_is_refused;
    taking_no_body: TakesNoBody by EMPTY in an_empty_body_is_refused;
    taking_trailing_bytes: TakesTrailingBytes by CANONICAL in only_what_encode_makes_is_routed;
    blaming_the_caller: BlamesTheCaller by CANONICAL in only_what_encode_makes_is_routed;
    routing_to_the_wrong_instance: RoutesToTheWrongInstance by ROUTER
        in a_payload_goes_to_the_instance_that_expects_its_tag;
    giving_a_tag_to_the_last: GivesATagToTheLast by FIRST_KEEPS
        in the_first_instance_keeps_a_tag_until_it_forgets_it;
    letting_anybody_forget: LetsAnybodyForget by FIRST_KEEPS
        in the_first_instance_keeps_a_tag_until_it_forgets_it;
    forgetting_what_was_routed: ForgetsWhatWasRouted by UNCHANGED in routing_changes_nothing;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    LosesTheLastByte,
    EncodesInTwoWays,
    TakesOneByteTooMany,
    TakesNoBody,
    TakesTrailingBytes,
    BlamesTheCaller,
    RoutesToTheWrongInstance,
    GivesATagToTheLast,
    LetsAnybodyForget,
    ForgetsWhatWasRouted,
}

/// Pad ‖ length of the body (4) ‖ tag (16) ‖ hint (4) ‖ body. A blinded one
/// routes by the hint, a hash of standing tag and body, else by the tag.
struct Toy {
    id: ProtocolId,
    blinded: bool,
    fault: Option<Fault>,
    count: AtomicU8,
}

const HEAD_LEN: usize = 1 + 4 + 16 + 4;

impl Toy {
    fn new(fault: Option<Fault>) -> Self {
        let id = ProtocolId::from_static("/toy/framing/1");
        Self {
            id,
            blinded: false,
            fault,
            count: AtomicU8::new(0),
        }
    }
}

fn hint(standing: &RoutingTag, body: &[u8]) -> [u8; 4] {
    let hash = Sha256::digest([standing.as_bytes(), body].concat());
    [hash[0], hash[1], hash[2], hash[3]]
}

impl FramingStrategy for Toy {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn max_body_len(&self, max_payload_len: usize) -> usize {
        max_payload_len.saturating_sub(HEAD_LEN)
    }

    fn encode(&self, frame: &Frame, max_payload_len: usize) -> Result<Bytes> {
        let more = usize::from(self.fault == Some(Fault::TakesOneByteTooMany));
        let too_long = frame.body.len() > self.max_body_len(max_payload_len).saturating_add(more);
        let empty = frame.body.is_empty() && self.fault != Some(Fault::TakesNoBody);
        if too_long || empty {
            return Err(Error::rejected("the body is empty or too long"));
        }
        let pad = match self.fault {
            Some(Fault::EncodesInTwoWays) => self.count.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        let len = (frame.body.len() as u32).to_be_bytes();
        let hint = if self.blinded {
            hint(&frame.standing, &frame.body)
        } else {
            [0; 4]
        };
        Ok([&[pad], &len[..], frame.tag.as_bytes(), &hint, &frame.body]
            .concat()
            .into())
    }

    fn router(&self) -> Box<dyn Router> {
        Box::new(Table {
            blinded: self.blinded,
            fault: self.fault,
            tags: Mutex::default(),
        })
    }
}

struct Table {
    blinded: bool,
    fault: Option<Fault>,
    tags: Mutex<HashMap<RoutingTag, InstanceId>>,
}

impl Router for Table {
    fn expect(&mut self, tag: Tag, instance: InstanceId) -> Result<()> {
        if self.blinded && matches!(tag, Tag::SingleUse(_)) {
            return Ok(());
        }
        let mut tags = self.tags.lock();
        let owner = *tags.entry(*tag.tag()).or_insert(instance);
        if owner != instance {
            if self.fault == Some(Fault::GivesATagToTheLast) {
                tags.insert(*tag.tag(), instance);
            }
            return Err(Error::rejected("another instance expects this tag"));
        }
        Ok(())
    }

    fn forget(&mut self, tag: Tag, instance: InstanceId) {
        let mut tags = self.tags.lock();
        let anybody = self.fault == Some(Fault::LetsAnybodyForget);
        if anybody || tags.get(tag.tag()) == Some(&instance) {
            tags.remove(tag.tag());
        }
    }

    fn route(&self, payload: &Bytes) -> Result<Routed> {
        let malformed = || match self.fault {
            Some(Fault::BlamesTheCaller) => Error::misuse("not a payload"),
            _ => Error::malformed("not a payload"),
        };
        let (head, body) = payload.split_at_checked(HEAD_LEN).ok_or_else(malformed)?;
        let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let is_long = self.fault == Some(Fault::TakesTrailingBytes) && body.len() > len;
        let is_plain = head[0] == 0 || self.fault == Some(Fault::EncodesInTwoWays);
        let has_hint = self.blinded || head[21..25] == [0; 4];
        if !is_plain || !has_hint || len == 0 || (body.len() != len && !is_long) {
            return Err(malformed());
        }
        let tag = RoutingTag::from_slice(&head[5..21])?;
        let mut tags = self.tags.lock();
        let found = match self.blinded {
            true => tags.iter().find(|(tag, _)| head[21..25] == hint(tag, body)),
            false => tags.get_key_value(&tag),
        };
        let mut instance = found.map(|(_, instance)| *instance);
        let end = len - usize::from(self.fault == Some(Fault::LosesTheLastByte));
        match self.fault {
            Some(Fault::RoutesToTheWrongInstance) => {
                instance = instance.map(|_| InstanceId(0));
            }
            Some(Fault::ForgetsWhatWasRouted) => drop(tags.remove(&tag)),
            _ => {}
        }
        Ok(Routed {
            instance,
            tag,
            body: payload.slice(HEAD_LEN..HEAD_LEN + end),
        })
    }
}
