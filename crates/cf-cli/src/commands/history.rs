use cf::core::Error;
use serde_json::Value;

use super::{Outcome, only, read};
use crate::home::{Call, Session};
use crate::show::{self, Output};

/// Which conversation a name or id means.
async fn find(session: &mut Session, who: String) -> Result<String, Error> {
    let found = only(session.call(Call::Find { who }).await?)?;
    Ok(found["conversation"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

pub(super) async fn history(
    session: &mut Session,
    who: Option<String>,
    (before, after): (Option<u64>, Option<u64>),
    limit: usize,
    rebuild: bool,
    out: &mut Output,
) -> Outcome {
    session.settle().await?;
    if rebuild {
        session.call(Call::Rebuild).await?;
    }
    let Some(who) = who else {
        return Ok(());
    };
    let conversation = find(session, who).await?;
    let call = Call::History {
        conversation,
        before,
        after,
        limit,
    };
    let items = session.call(call).await?;
    if items.is_empty() {
        out.hint("Nothing was said here.")?;
    }
    for item in &items {
        out.object(item, |item| Some(line(item)))?;
    }
    Ok(())
}

pub(super) async fn search(
    session: &mut Session,
    words: String,
    within: Option<String>,
    before: Option<u64>,
    limit: usize,
    out: &mut Output,
) -> Outcome {
    session.settle().await?;
    let within = match within {
        Some(who) => Some(find(session, who).await?),
        None => None,
    };
    let call = Call::Search {
        words,
        within,
        before,
        limit,
    };
    let found = session.call(call).await?;
    if found.is_empty() {
        out.hint("Nothing with these words.")?;
    }
    for item in &found {
        out.object(item, |item| {
            Some(match item["more_before"].as_u64() {
                Some(before) => format!("There is more: --before {before}"),
                None => format!("{}  {}", show::short(item, "conversation"), line(item)),
            })
        })?;
    }
    Ok(())
}

pub(super) async fn delete(
    session: &mut Session,
    who: String,
    seq: Option<u64>,
    out: &mut Output,
) -> Outcome {
    session.settle().await?;
    let conversation = find(session, who).await?;
    let deleted = only(session.call(Call::Delete { conversation, seq }).await?)?;
    out.object(&deleted, |_| Some("Deleted here.".to_owned()))?;
    Ok(())
}

pub(super) async fn keep(session: &mut Session, days: Option<u64>, out: &mut Output) -> Outcome {
    let kept = only(session.call(Call::Keep { days }).await?)?;
    out.object(&kept, |kept| {
        Some(match kept["keep_days"].as_u64() {
            Some(days) => format!("What is said is kept for {days} days."),
            None => "What is said is kept for ever.".to_owned(),
        })
    })?;
    Ok(())
}

pub(super) async fn contacts(session: &mut Session, out: &mut Output) -> Outcome {
    session.settle().await?;
    let contacts = session.call(Call::Contacts).await?;
    if contacts.is_empty() {
        out.hint("No contacts yet: `cf link` or `cf add LINK`.")?;
    }
    for contact in &contacts {
        out.object(contact, |contact| {
            let mark = |field: &str, mark| match contact[field].as_bool() {
                Some(true) => mark,
                _ => "",
            };
            Some(format!(
                "{}  {}{}{}",
                show::short(contact, "from"),
                show::line(contact, "name"),
                mark("verified", "  verified"),
                mark("blocked", "  (blocked)"),
            ))
        })?;
    }
    Ok(())
}

/// An item as a person reads it.
pub(super) fn line(item: &Value) -> String {
    let who = match item["own"].as_bool() {
        Some(true) => "you".to_owned(),
        _ => match show::line(item, "name") {
            name if name.is_empty() => show::short(item, "from"),
            name => name,
        },
    };
    let said = match item["item"].as_str().unwrap_or_default() {
        "message" => show::text(item, "text").replace('\n', "\n    "),
        "attachment" => format!(
            "file {}, {}: {} cf save {}",
            show::line(item, "file"),
            show::size(&item["len"]),
            show::line(item, "caption"),
            item["seq"]
        ),
        "taken_back" => return format!("{:>6}  * {who} took a message back.", seq(item)),
        "notice" => {
            let said = read::sentence(item).unwrap_or_default();
            return format!("{:>6}  {said}", seq(item));
        }
        _ => "something of another application".to_owned(),
    };
    let mut line = format!("{:>6}  {who}: {said}", seq(item));
    if item["edited"].as_bool() == Some(true) {
        line += " (corrected)";
    }
    if let Some(to) = item["reply_to_seq"].as_u64() {
        line += &format!(" (to {to})");
    }
    for reaction in item["reactions"].as_array().into_iter().flatten() {
        line += &format!(" [{}]", show::line(reaction, "reaction"));
    }
    match item["state"].as_str() {
        Some(state) => format!("{line}  ({state})"),
        None => line,
    }
}

fn seq(item: &Value) -> String {
    item["seq"].to_string()
}
