//! What a person is shown.

use cf_core::ContentState;
use cf_history::{Author, EntryKind, ItemKind, Page, Reaction};

use crate::world::{World, named, raya, talk};

fn message(world: &World, seq: u64) -> ItemKind {
    world.history.item(talk(1), seq).unwrap().unwrap().kind
}

#[test]
fn states_replies_edits_and_reactions_are_applied() {
    let world = World::in_memory();
    let at = talk(1);
    world.log(EntryKind::Began { conversation: at });
    let first = world.said(at, 'a', "m good morning");
    world.state(at, 'a', ContentState::Delivered);
    // A reaction that overtook what it is about waits for it.
    world.said(at, 'x', "+B!");
    let reply = world.said(at, 'B', "maand to you");
    world.said(at, 'C', "+a<3");
    world.said(at, 'D', "-a<3");
    world.said(at, 'E', "+a:)");
    world.said(at, 'b', "eahello");
    // Nobody edits another's words: this is about Raya's own a, which is not there.
    world.said(at, 'F', "eahijacked");
    world.settle();

    let ItemKind::Message {
        state,
        edited,
        reactions,
        author,
        ..
    } = message(&world, first)
    else {
        panic!("no message");
    };
    assert_eq!(state, Some(ContentState::Delivered));
    assert_eq!(edited.as_deref(), Some("hello"));
    assert_eq!(author, Author::Own);
    let smile = Reaction {
        author: raya(),
        reaction: ":)".into(),
    };
    assert_eq!(reactions, [smile]);
    let ItemKind::Message {
        reply_to,
        reactions,
        state: None,
        ..
    } = message(&world, reply)
    else {
        panic!("no message of the other one");
    };
    assert_eq!(reply_to, Some((named('a'), Some(first))));
    assert_eq!(reactions.len(), 1);
    let seqs = |text: &str| -> Vec<u64> {
        let found = world.history.search(text, None, None, 10).unwrap();
        found.items.iter().map(|(_, item)| item.seq).collect()
    };
    assert_eq!(seqs("HELLO"), [first]);
    assert_eq!(
        seqs("morning"),
        [],
        "words that were replaced are not found"
    );
    assert_eq!(seqs("you and"), [reply]);
    assert!(world.history.search("…", None, None, 10).is_err());
}

#[test]
fn what_is_deleted_is_gone_also_from_the_log() {
    let world = World::in_memory();
    let at = talk(1);
    let first = world.said(at, 'A', "m secret plans");
    let edit = world.said(at, 'B', "eAother plans");
    let reaction = world.said(at, 'a', "+A:o");
    let kept = world.said(at, 'C', "m plans");
    let back = world.said(at, 'D', "dA");
    world.settle();
    let gone = |seq: u64| world.log.0.lock().unwrap()[seq as usize - 1].is_none();
    assert!(gone(first) && gone(edit) && gone(reaction) && !gone(kept) && !gone(back));
    let items = world.history.page(at, Page::Newest, 10).unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[1].kind, ItemKind::TakenBack { author: raya() });
    let found = world.history.search("plans", None, None, 10).unwrap();
    assert_eq!(found.items.len(), 1);
    let summary = world.history.conversation(at).unwrap().unwrap();
    assert_eq!(summary.unread, 1, "what is gone is not unread");

    world.history.delete(at, kept).unwrap();
    assert!(world.history.delete(at, kept).is_err());
    world.settle();
    assert!(gone(kept));
    while world.history.clear(at, back).unwrap() {}
    world.settle();
    assert_eq!(world.history.conversation(at).unwrap(), None);
    assert!(world.dump(&[at]).is_empty());
}

#[test]
fn unread_messages_are_counted_and_their_authors_named() {
    let world = World::in_memory();
    let at = talk(1);
    for letter in "ABC".chars() {
        world.said(at, letter, "m hello");
        world.said(at, letter.to_ascii_lowercase(), "m hello");
    }
    world.settle();
    let summary = world.history.conversation(at).unwrap().unwrap();
    assert_eq!(summary.unread, 3);
    let read = world.history.mark_read(at, 3).unwrap();
    assert_eq!(read, [named('A'), named('B')]);
    assert_eq!(world.history.mark_read(at, 3).unwrap(), []);
    assert_eq!(world.history.conversation(at).unwrap().unwrap().unread, 1);
    let read = world.history.mark_read(at, u64::MAX).unwrap();
    assert_eq!(read, [named('C')]);
    world.said(at, 'D', "m later");
    world.settle();
    assert_eq!(world.history.conversation(at).unwrap().unwrap().unread, 1);
}
