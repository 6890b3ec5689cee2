//! What a sender with all the right keys may have sealed.

use cf_core::{
    ConversationId, DeliveryAddress, DeliveryPoint, InviteId, Locator, OfferId, ProtocolId,
    Timestamp,
};
use proptest::prelude::*;

use super::*;

fn invite() -> Invite {
    let point = DeliveryPoint {
        locator: Locator::parse("memory:town").unwrap(),
        address: DeliveryAddress::new("saro").unwrap(),
        framing: ProtocolId::from_static("/cf/framing/tagged/1"),
    };
    Invite {
        id: InviteId([1; 16]),
        conversation: ConversationId([2; 16]),
        conversation_protocol: ProtocolId::from_static("/example/1"),
        specification: "https://example.org".into(),
        parameters: "parameters".into(),
        offer: Some(OfferId([3; 16])),
        chosen_from: vec![ProtocolId::from_static("/example/1")],
        points: vec![point],
        offers: vec![],
        sent_at: Timestamp(1),
        display_name: "Saro".into(),
    }
}

fn identity() -> (ParticipantId, AgreementKey) {
    let key = AgreementKey {
        public: [4; 32],
        not_before: Timestamp(1),
        not_after: Timestamp(2),
        certificate: vec![5; 64].into(),
    };
    (ParticipantId::new(vec![6; 32]).unwrap(), key)
}

/// The message alone.
fn message(padded: &[u8]) -> Vec<u8> {
    let len = u32::from_be_bytes(*padded.first_chunk().unwrap());
    padded[4..][..usize::try_from(len).unwrap()].to_vec()
}

fn padded(message: &[u8], to: usize) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap();
    let mut padded = [&len.to_be_bytes()[..], message].concat();
    padded.resize(to, 0);
    padded
}

fn is_malformed<T>(result: Result<T, InitError>) -> bool {
    matches!(result, Err(InitError::MalformedInvite(_)))
}

proptest! {
    #[test]
    fn rubbish_is_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(is_malformed(decode_invite(&bytes)));
        prop_assert!(is_malformed(decode_identity(&bytes)));
        prop_assert!(is_malformed(decode_invite(&padded(&bytes, 2612))));
        prop_assert!(is_malformed(decode_identity(&padded(&bytes, 404))));
    }

    #[test]
    fn what_is_accepted_encodes_to_the_same_bytes(
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let plaintext = encode_invite(&invite()).unwrap();
        let mut changed = message(&plaintext);
        let at = at.index(changed.len());
        changed[at] = value;
        match decode_invite(&padded(&changed, plaintext.len())) {
            Ok(invite) => prop_assert_eq!(message(&encode_invite(&invite).unwrap()), changed),
            Err(error) => prop_assert!(matches!(error, InitError::MalformedInvite(_))),
        }
    }
}

#[test]
fn trailing_repeated_and_reordered_fields_are_malformed() {
    let plaintext = encode_invite(&invite()).unwrap();
    let good = message(&plaintext);
    assert_eq!(decode_invite(&padded(&good, 2612)).unwrap(), invite());
    let id = &good[..18];
    let bad = [
        [&good[..], &[0x50, 0x01]].concat(),
        [id, &good[..]].concat(),
        [&good[18..], id].concat(),
        [&good[..], &[0]].concat(),
    ];
    for bad in bad {
        assert!(is_malformed(decode_invite(&padded(&bad, 2612))));
    }

    let (participant, key) = identity();
    let plaintext = encode_identity(&participant, &key).unwrap();
    assert_eq!(plaintext.len(), IDENTITY_LEN);
    assert_eq!(decode_identity(&plaintext).unwrap(), (participant, key));
    let good = message(&plaintext);
    let twice = [&good[..], &good].concat();
    assert!(is_malformed(decode_identity(&padded(&twice, IDENTITY_LEN))));
}

#[test]
fn padding_is_zeros_and_lengths_are_true() {
    let plaintext = encode_invite(&invite()).unwrap();
    let mut marked = plaintext.clone();
    *marked.last_mut().unwrap() = 1;
    assert!(is_malformed(decode_invite(&marked)));
    for len in [u32::MAX, 2609, 1] {
        let mut wrong = plaintext.clone();
        wrong[..4].copy_from_slice(&len.to_be_bytes());
        assert!(is_malformed(decode_invite(&wrong)));
    }
}

#[test]
fn the_largest_id_and_a_long_certificate_fit() {
    let (_, mut key) = identity();
    (key.not_before, key.not_after) = (Timestamp(u64::MAX - 1), Timestamp::NEVER);
    key.certificate = vec![5; 160].into();
    let participant = ParticipantId::new(vec![6; 128]).unwrap();
    assert_eq!(encode_identity(&participant, &key).unwrap().len(), 384);
    key.certificate = vec![5; 256].into();
    let error = encode_identity(&participant, &key).unwrap_err();
    assert!(matches!(error, InitError::TooLong { max: 380, .. }));
}
