use serde_json::Value;

use super::{Outcome, links};
use crate::home::{Call, Session};
use crate::show::{self, Output};

/// Prints events. One that was printed is confirmed with the next call, so that
/// none is lost if this ends in between: it comes again under its number.
pub(super) async fn run(
    session: &mut Session,
    follow: bool,
    since: Option<u64>,
    out: &mut Output,
) -> Outcome {
    session.settle().await?;
    let mut after = since;
    let mut ends = Box::pin(ended());
    loop {
        let call = Call::Read {
            after,
            confirm: if since.is_none() { after } else { None },
            wait: follow,
        };
        let events = tokio::select! {
            events = session.call(call) => events?,
            () = &mut ends => return Ok(()),
        };
        for event in &events {
            out.object(event, sentence)?;
        }
        match events.last() {
            Some(last) => after = last["seq"].as_u64().or(after),
            None if !follow => return Ok(()),
            None => {}
        }
    }
}

/// What an event says to a person; nothing, if it is for scripts.
pub(super) fn sentence(event: &Value) -> Option<String> {
    let name = match show::line(event, "name") {
        name if name.is_empty() => show::short(event, "from"),
        name => name,
    };
    let talk = show::short(event, "conversation");
    Some(match event["event"].as_str()? {
        "message" => {
            let text = show::text(event, "text").replace('\n', "\n    ");
            format!("{name}: {text}")
        }
        "reaction" => format!("* {name}: {}", show::line(event, "reaction")),
        "edit" => {
            let text = show::text(event, "text").replace('\n', "\n    ");
            format!("{name} (corrected): {text}")
        }
        "delete" => format!("* {name} has taken a message back."),
        "attachment" => {
            let (file, len) = (show::line(event, "file"), show::size(&event["len"]));
            let caption = match show::line(event, "caption") {
                caption if caption.is_empty() => caption,
                caption => format!(" ({caption})"),
            };
            format!(
                "{name}: file {file}, {len}{caption}: cf save {}",
                event["seq"]
            )
        }
        "unknown_content" => format!(
            "* {name} sent something of another application (domain {}, type {}).",
            event["domain"], event["tag"]
        ),
        "unreadable_content" => format!("* {name} sent something that can't be read."),
        "request" => {
            let id = show::short(event, "request");
            format!("* {name} asks for a conversation ({id}): see `cf requests`")
        }
        "answered" => format!("* Conversation {talk}: they have accepted."),
        "invite_expired" => format!("* Conversation {talk}: nobody answered the invite in time."),
        "gap" => format!(
            "* Conversation {talk}: {} messages are missing here.",
            event["missing"]
        ),
        "renewed" => format!(
            "* Conversation {talk}: begun anew between the same two, by {}.",
            show::line(event, "protocol")
        ),
        "broken" => {
            format!("* Conversation {talk}: broken. Ask the other one for a link, and `cf add` it.")
        }
        "other_key" => other_key(event, &name, &talk),
        "gap_closed" => format!("* Conversation {talk}: what was missing has come, or never will."),
        "state" if event["state"] == "failed" => {
            let (id, reason) = (show::line(event, "id"), show::line(event, "reason"));
            format!("* Your message {id} was not delivered: {reason}.")
        }
        "state" if event["state"] == "read" => {
            let id = show::line(event, "id");
            format!("* Conversation {talk}: they have read your message {id}.")
        }
        "unknown" => format!("* Conversation {talk}: something that this version does not know."),
        "link_expired" => format!(
            "* Your link {} has expired.",
            links::called_by(event, "link")
        ),
        "closed" => format!("* Conversation {talk} has ended."),
        _ => return None,
    })
}

/// Tells of another identity key in a way that nobody overlooks.
fn other_key(event: &Value, name: &str, talk: &str) -> String {
    let key = match show::short(event, "from") {
        key if key.is_empty() => "without a key".to_owned(),
        key => format!("with the key {key}…"),
    };
    let verified = match event["was_verified"].as_bool() {
        Some(true) => "You have verified the one you know; this one is NOT verified.",
        _ => "You have not verified the one you know.",
    };
    format!(
        "*** WARNING: somebody {key} is called {name}, and that is NOT the key of \
         conversation {talk}.\n    {verified}\n    It is somebody else, or {name} with a new \
         identity: ask them in another way before you accept or say anything."
    )
}

/// Waits until the process is asked to end.
async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
