use serde_json::Value;

use super::{Outcome, contacts, only};
use crate::arguments::{Setting, Switch};
use crate::home::{Call, Session};
use crate::show::{self, Output};

pub(super) async fn chats(session: &mut Session, out: &mut Output) -> Outcome {
    session.settle().await?;
    let chats = session.call(Call::Chats).await?;
    if chats.is_empty() {
        out.hint("No conversations yet: `cf link` or `cf add LINK`.")?;
    }
    for chat in &chats {
        out.object(chat, |chat| {
            let (id, name) = (show::short(chat, "conversation"), show::line(chat, "name"));
            let mark = |field: &str, mark| match chat[field].as_bool() {
                Some(true) => mark,
                _ => "",
            };
            let (verified, blocked) = (
                mark("verified", "  verified"),
                mark("blocked", "  (blocked)"),
            );
            let protocol = show::line(chat, "conversation_protocol");
            let unread = match chat["unread"].as_u64() {
                Some(unread @ 1..) => format!("  {unread} unread"),
                _ => String::new(),
            };
            Some(format!(
                "{id}  {name}  {protocol}{verified}{blocked}{unread}{}",
                contacts::looks_like(chat)
            ))
        })?;
    }
    Ok(())
}

pub(super) async fn status(session: &mut Session, out: &mut Output) -> Outcome {
    session.settle().await?;
    let status = only(session.call(Call::Status).await?)?;
    out.object(&status, |status| Some(describe(status)))?;
    Ok(())
}

pub(super) async fn config(
    session: &mut Session,
    setting: Setting,
    value: Option<Switch>,
    out: &mut Output,
) -> Outcome {
    let on = value.map(|value| matches!(value, Switch::On));
    let call = match setting {
        Setting::ReadReceipts => Call::Config { read_receipts: on },
    };
    let settings = only(session.call(call).await?)?;
    out.object(&settings, |settings| {
        Some(match settings["read_receipts"].as_bool() {
            Some(true) => "Authors learn what you have read.".to_owned(),
            _ => "Nobody learns what you have read.".to_owned(),
        })
    })?;
    Ok(())
}

fn describe(status: &Value) -> String {
    let mut lines = Vec::new();
    for field in ["name", "fingerprint", "home", "service", "locator"] {
        lines.push(format!("{field:<14} {}", show::line(status, field)));
    }
    for (field, about) in [
        ("owner", "the process that has the home open"),
        ("conversations", ""),
        ("requests", "wait for you: cf requests"),
        ("refused", "times an invite met a bound: cf links"),
        ("links", "by which others can ask: cf links"),
        ("blocked", "are blocked: cf blocked"),
        ("waiting", "payloads wait to be published"),
        ("parked", "payloads wait for somebody to expect them"),
    ] {
        lines.push(
            format!("{field:<14} {:<6} {about}", status[field].to_string())
                .trim_end()
                .to_owned(),
        );
    }
    if let Some(counters) = status["counters"].as_object() {
        for (name, count) in counters {
            lines.push(format!("  {name:<20} {count}"));
        }
    }
    lines.join("\n")
}
