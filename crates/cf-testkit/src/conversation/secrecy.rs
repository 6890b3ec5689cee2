use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use cf_core::{ErrorKind, Frame};

use super::ConversationUnderTest;
use super::establish::CONVERSATION;
use super::law::{CONFIDENTIAL, EXPORT, ID, UNLINKABLE};
use super::pair::{Pair, Weather};
use crate::law::ensure;
use crate::{Law, Verdict};

/// How many bytes in a row are no coincidence.
const WINDOW: usize = 8;

/// Everything that was published over a bad link with restarts.
fn talked<'a>(law: &'static Law, at: &'a ConversationUnderTest) -> Verdict<Pair<'a>> {
    let mut pair = Pair::new(law, at, Weather::BAD, 5)?;
    pair.talk(30)?;
    pair.run_for(Duration::from_secs(3600))?;
    Ok(pair)
}

/// What a framing shows of a frame at most.
fn shown(frame: &Frame) -> Vec<u8> {
    match frame.tag == frame.standing {
        true => frame.body.to_vec(),
        false => [frame.tag.as_bytes(), &frame.body[..]].concat(),
    }
}

/// No part of any content is in any frame.
///
/// # Errors
/// The violation, if there is one.
pub fn a_frame_shows_no_content(at: ConversationUnderTest) -> Verdict {
    let law = &CONFIDENTIAL;
    if !at.protocol.properties().confidential {
        return law.not_declared("confidential");
    }
    let pair = talked(law, &at)?;
    let mut windows = HashSet::new();
    for (_, bytes) in pair.sent.iter().flatten() {
        windows.extend(bytes.windows(WINDOW));
    }
    for (_, publish) in &pair.published {
        let shown = shown(&publish.frame);
        let found = shown
            .windows(WINDOW)
            .find(|window| windows.contains(window));
        ensure!(
            law,
            found.is_none(),
            "a frame shows {found:02x?} of a content"
        );
    }
    Ok(())
}

/// No eight bytes of a frame are in another, an exact resend aside, and none of
/// an id of content, participant, protocol or conversation, nor of a standing tag.
///
/// # Errors
/// The violation, if there is one.
pub fn nothing_in_two_frames_links_them(at: ConversationUnderTest) -> Verdict {
    let law = &UNLINKABLE;
    if !at.protocol.properties().unlinkable {
        return law.not_declared("unlinkable");
    }
    let pair = talked(law, &at)?;
    let mut hidden: HashMap<Vec<u8>, &str> = HashMap::new();
    let mut hide = |what, bytes: &[u8]| {
        hidden.extend(bytes.windows(WINDOW).map(|window| (window.to_vec(), what)));
    };
    hide("the conversation's id", CONVERSATION.as_bytes());
    hide("the protocol's id", at.protocol.id().as_str().as_bytes());
    for side in &pair.sides {
        hide("a participant's id", side.identity.id().as_bytes());
        side.standing
            .iter()
            .for_each(|tag| hide("a standing tag", tag.as_bytes()));
        for point in &side.listening {
            hide("an address", point.address.as_bytes());
        }
    }
    for (id, _) in pair.sent.iter().flatten() {
        hide("a content's id", id.as_bytes());
    }
    let distinct: BTreeMap<Vec<u8>, ()> = pair
        .published
        .iter()
        .map(|(_, publish)| (shown(&publish.frame), ()))
        .collect();
    let mut seen: HashSet<&[u8]> = HashSet::new();
    for frame in distinct.keys() {
        let own: HashSet<&[u8]> = frame.windows(WINDOW).collect();
        for window in own {
            let what = hidden.get(window);
            ensure!(law, what.is_none(), "a frame shows {what:?}: {window:02x?}");
            ensure!(
                law,
                seen.insert(window),
                "two frames have {window:02x?} in common"
            );
        }
    }
    Ok(())
}

/// No frame holds the conversation's id, whatever else is in the clear.
///
/// # Errors
/// The violation, if there is one.
pub fn a_frame_shows_no_conversation_id(at: ConversationUnderTest) -> Verdict {
    let law = &ID;
    let pair = talked(law, &at)?;
    for (_, publish) in &pair.published {
        let shown = shown(&publish.frame);
        let found = shown
            .windows(16)
            .any(|window| window == CONVERSATION.as_bytes());
        ensure!(law, !found, "a frame shows the conversation's id");
    }
    Ok(())
}

/// Both sides export the same secret for a label, and another for another one.
///
/// # Errors
/// The violation, if there is one.
pub fn both_sides_export_one_secret(at: ConversationUnderTest) -> Verdict {
    let law = &EXPORT;
    let mut pair = Pair::new(law, &at, Weather::GOOD, 7)?;
    let other = Pair::new(law, &at, Weather::GOOD, 8)?;
    pair.talk(4)?;
    pair.run_for(Duration::from_secs(60))?;
    let export = |pair: &Pair<'_>, side: usize, label| pair.sides[side].instance.export(label);
    let one = match export(&pair, 0, "/example/1 upgrade") {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return law.not_declared("a secret");
        }
        other => law.needs("exporting", other)?,
    };
    let same = law.needs("exporting", export(&pair, 1, "/example/1 upgrade"))?;
    ensure!(
        law,
        one.expose() == same.expose(),
        "the two sides export different secrets"
    );
    let label = law.needs("exporting", export(&pair, 0, "/example/1 other"))?;
    ensure!(
        law,
        one.expose() != label.expose(),
        "two labels have one secret"
    );
    let strange = law.needs("exporting", export(&other, 0, "/example/1 upgrade"))?;
    ensure!(
        law,
        one.expose() != strange.expose(),
        "two conversations have one secret"
    );
    Ok(())
}
