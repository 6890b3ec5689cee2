use cf::core::{Error, ErrorKind};
use serde_json::{Value, json};

use super::contacts::MIN_ID_LEN;
use super::{Failure, Outcome, only};
use crate::home::{Call, Session};
use crate::show::{self, Output};

pub(super) async fn links(session: &mut Session, out: &mut Output) -> Outcome {
    session.settle().await?;
    let links = session.call(Call::Links).await?;
    if links.is_empty() {
        out.hint("No links yet: `cf link`.")?;
    }
    for link in &links {
        out.object(link, |link| Some(describe(link)))?;
    }
    Ok(())
}

pub(super) async fn lan(session: &mut Session, out: &mut Output) -> Outcome {
    let names = session.call(Call::Lan).await?;
    if names.is_empty() {
        out.hint("Nobody on this network says that they are here.")?;
    }
    for found in &names {
        out.object(found, |found| {
            let (name, link) = (
                show::line(found, "name"),
                quoted(&show::line(found, "link")),
            );
            Some(match found["claims"].as_u64() {
                Some(1) => format!("{name}: cf add {link}"),
                _ => format!(
                    "{name}: {} say so; cf add {link} tells them apart",
                    found["claims"]
                ),
            })
        })?;
    }
    Ok(())
}

/// A text that a stranger chose, as one word of a shell: it may be copied there.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a link is called: its label, or the start of its id.
pub(super) fn called(link: &Value) -> String {
    called_by(link, "id")
}

pub(super) fn called_by(link: &Value, id: &str) -> String {
    match show::line(link, "label") {
        label if label.is_empty() => show::short(link, id),
        label => label,
    }
}

fn describe(link: &Value) -> String {
    let (id, label) = (show::short(link, "id"), show::line(link, "label"));
    let left = days_left(link);
    let state = match show::line(link, "state") {
        state if state == "live" => format!("for {left} more days"),
        state => state,
    };
    let once = match link["one_time"].as_bool() {
        Some(true) => ", for one invite",
        _ => "",
    };
    let mut lines = vec![
        format!("{id}  {label}  {state}{once}").replace("    ", "  "),
        format!("          {}", show::line(link, "link")),
        format!(
            "          {} of {} requests wait; {} invites opened, {} times refused",
            link["pending"], link["quota"], link["opened"], link["refused"]
        ),
    ];
    if link["rejected"].as_u64() > Some(0) {
        lines.push(format!(
            "          {} invites could not be opened: too late, or not authentic",
            link["rejected"]
        ));
    }
    if link["problem"].is_string() {
        let problem = show::line(link, "problem");
        lines.push(format!(
            "          not refreshed: {problem}; it is tried again"
        ));
    }
    lines.join("\n")
}

/// By the clock of this machine.
fn days_left(link: &Value) -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH;
    #[allow(
        clippy::disallowed_methods,
        reason = "a person reads the time that is left"
    )]
    let now = std::time::SystemTime::now();
    let now = now.duration_since(since).unwrap_or_default().as_millis();
    let left = u128::from(link["expires_at"].as_u64().unwrap_or_default()).saturating_sub(now);
    u64::try_from(left.div_ceil(24 * 60 * 60 * 1000)).unwrap_or_default()
}

pub(super) async fn revoke(session: &mut Session, id: &str, out: &mut Output) -> Outcome {
    if id.len() < MIN_ID_LEN {
        let message =
            format!("give at least {MIN_ID_LEN} characters of the link's id: see `cf links`");
        return Err(Failure::Usage(message));
    }
    let links = session.call(Call::Links).await?;
    let link = one(
        &links,
        |link| starts(link, "id", id),
        id,
        "link",
        "cf links",
    )?;
    let id = link["id"].as_str().unwrap_or_default().to_owned();
    let before = session.renewals();
    let revoked = match session.call(Call::Revoke { id: id.clone() }).await {
        // The owner was gone after it had revoked it.
        Err(error) if error.kind() == ErrorKind::Misuse && session.renewals() > before => {
            json!({ "id": id, "revoked": true })
        }
        revoked => only(revoked?)?,
    };
    out.object(&revoked, |_| {
        Some(
            "Revoked: nobody can ask through it any more. Requests and conversations stay."
                .to_owned(),
        )
    })?;
    Ok(())
}

pub(super) async fn block(session: &mut Session, who: &str, out: &mut Output) -> Outcome {
    session.settle().await?;
    let requests = session.call(Call::Requests).await?;
    let asks = |request: &Value| who.len() >= MIN_ID_LEN && starts(request, "request", who);
    let found = match requests.iter().any(asks) {
        true => one(&requests, asks, who, "request", "cf requests")?,
        false => {
            let who = who.to_owned();
            only(session.call(Call::Find { who }).await?)?
        }
    };
    let Some(participant) = found["from"].as_str().map(str::to_owned) else {
        return Err(Error::misuse("nobody is known to be the other side of this").into());
    };
    let call = Call::Block {
        participant,
        blocked: true,
    };
    let mut blocked = only(session.call(call).await?)?;
    blocked["name"] = found["name"].clone();
    out.object(&blocked, |blocked| {
        let name = show::line(blocked, "name");
        Some(format!(
            "{name} is blocked: what they send is not shown, and they are told nothing."
        ))
    })?;
    Ok(())
}

pub(super) async fn unblock(session: &mut Session, who: &str, out: &mut Output) -> Outcome {
    let all = session.call(Call::Blocked).await?;
    let named = |blocked: &Value| {
        let by_name = blocked["name"].as_str().map(str::to_lowercase) == Some(who.to_lowercase());
        by_name || (who.len() >= MIN_ID_LEN && starts(blocked, "from", who))
    };
    let found = one(&all, named, who, "blocked participant", "cf blocked")?;
    let participant = found["from"].as_str().unwrap_or_default().to_owned();
    let call = Call::Block {
        participant: participant.clone(),
        blocked: false,
    };
    let before = session.renewals();
    let mut unblocked = match session.call(call).await {
        Err(error) if error.kind() == ErrorKind::Misuse && session.renewals() > before => {
            json!({ "from": participant, "blocked": false })
        }
        unblocked => only(unblocked?)?,
    };
    unblocked["name"] = found["name"].clone();
    out.object(&unblocked, |unblocked| {
        let name = show::line(unblocked, "name");
        Some(format!("{name} is blocked no longer."))
    })?;
    Ok(())
}

pub(super) async fn blocked(session: &mut Session, out: &mut Output) -> Outcome {
    let all = session.call(Call::Blocked).await?;
    if all.is_empty() {
        out.hint("Nobody is blocked.")?;
    }
    for blocked in &all {
        out.object(blocked, |blocked| {
            let (from, name) = (show::short(blocked, "from"), show::line(blocked, "name"));
            Some(format!(
                "{from}…  {name}  {} invites dropped",
                blocked["invites"]
            ))
        })?;
    }
    Ok(())
}

fn starts(value: &Value, field: &str, with: &str) -> bool {
    let all = value[field].as_str();
    all.is_some_and(|all| all.starts_with(with))
}

/// The only one that is meant.
fn one(
    all: &[Value],
    is_meant: impl Fn(&Value) -> bool,
    given: &str,
    what: &str,
    see: &str,
) -> Outcome<Value> {
    let mut found = all.iter().filter(|value| is_meant(value));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(_), Some(_)) => {
            let message = format!("more than one {what} is meant by {given}: see `{see}`");
            Err(Error::misuse(message).into())
        }
        _ => Err(Error::misuse(format!("no {what} is meant by {given}: see `{see}`")).into()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_that_is_copied_into_a_shell_is_one_word() {
        let shown = super::quoted("lan:x'; rm -r $HOME; echo `id` '\\");
        let echoed = std::process::Command::new("sh")
            .args(["-c", &format!("printf '[%s]' {shown}")])
            .output()
            .expect("a shell");
        let echoed = String::from_utf8(echoed.stdout).expect("text");
        assert_eq!(echoed, "[lan:x'; rm -r $HOME; echo `id` '\\]");
    }
}
