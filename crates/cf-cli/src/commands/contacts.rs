use std::io::Read;

use cf::core::{Error, ErrorKind};
use serde_json::{Value, json};

use super::{Failure, Outcome, links, only};
use crate::home::{Call, Session};
use crate::show::{self, Output};

/// How much of an id has to be given: nobody is accepted by an empty variable.
pub(super) const MIN_ID_LEN: usize = 6;

pub(super) async fn link(session: &mut Session, wanted: Call, out: &mut Output) -> Outcome {
    let link = only(session.call(wanted).await?)?;
    out.object(&link, |link| Some(show::line(link, "link")))?;
    Ok(())
}

pub(super) async fn add(session: &mut Session, link: String, out: &mut Output) -> Outcome {
    let link = match &*link {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text.trim().to_owned()
        }
        _ => link,
    };
    session.settle().await?;
    let added = only(session.call(Call::Add { link }).await?)?;
    out.object(&added, |added| {
        let name = show::line(added, "name");
        let id = show::short(added, "conversation");
        Some(match added["added"].as_str() {
            Some("again") => {
                format!("You know {name} already: conversation {id} goes on, with fresh keys.")
            }
            Some("by accepting") => format!("{name} had asked you: accepted, conversation {id}."),
            _ => format!("Asked {name}; conversation {id}. You can send already, it arrives once they accept."),
        })
    })?;
    Ok(())
}

pub(super) async fn requests(session: &mut Session, out: &mut Output) -> Outcome {
    session.settle().await?;
    let requests = session.call(Call::Requests).await?;
    if requests.is_empty() {
        out.hint("Nobody asks.")?;
    }
    let full = |link: &&Value| link["pending"].as_u64() >= link["quota"].as_u64();
    for link in session.call(Call::Links).await?.iter().filter(full) {
        let (name, id) = (links::called(link), show::short(link, "id"));
        out.hint(&format!(
            "As many wait through {name} as may: accept or decline some, or `cf revoke {id}`. \
             Refused: {} times; they ask again.",
            link["refused"]
        ))?;
    }
    for request in &requests {
        out.object(request, |request| {
            let (name, from) = (show::line(request, "name"), show::short(request, "from"));
            let protocol = show::line(request, "conversation_protocol");
            let id = show::short(request, "request");
            let through = match show::line(request, "label") {
                label if label.is_empty() => label,
                label => format!(" through {label}"),
            };
            Some(match request["supported"].as_bool() {
                Some(true) => format!("{id}  {name} ({from}…) asks for a conversation{through}: cf accept {id}"),
                _ => format!(
                    "{id}  {name} ({from}…) wants to talk with {protocol}, which this version does not have; \
                     it is kept. Specification: {}",
                    show::line(request, "specification")
                ),
            })
        })?;
    }
    Ok(())
}

pub(super) async fn accept(session: &mut Session, id: &str, out: &mut Output) -> Outcome {
    session.settle().await?;
    let request = find(session, id).await?;
    let field = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    let (id, conversation) = (field("request"), field("conversation"));
    let accepted = only(session.call(Call::Accept { id, conversation }).await?)?;
    out.object(&accepted, |accepted| {
        let (name, id) = (
            show::line(accepted, "name"),
            show::short(accepted, "conversation"),
        );
        Some(format!("You talk with {name} now: conversation {id}."))
    })?;
    Ok(())
}

pub(super) async fn decline(session: &mut Session, id: &str, out: &mut Output) -> Outcome {
    session.settle().await?;
    let request = find(session, id).await?;
    let id = request["request"].as_str().unwrap_or_default().to_owned();
    let before = session.renewals();
    let declined = match session.call(Call::Decline { id: id.clone() }).await {
        // The owner was gone after it had declined.
        Err(error) if error.kind() == ErrorKind::Misuse && session.renewals() > before => {
            json!({ "request": id, "declined": true })
        }
        declined => only(declined?)?,
    };
    out.object(&declined, |_| Some("Declined.".to_owned()))?;
    Ok(())
}

/// The request of an id, or of as much of it as is needed.
async fn find(session: &mut Session, id: &str) -> Outcome<Value> {
    if id.len() < MIN_ID_LEN {
        let message =
            format!("give at least {MIN_ID_LEN} characters of the request's id: see `cf requests`");
        return Err(Failure::Usage(message));
    }
    let requests = session.call(Call::Requests).await?;
    let starts = |request: &&Value| {
        request["request"]
            .as_str()
            .is_some_and(|all| all.starts_with(id))
    };
    let mut found = requests.iter().filter(starts);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(_), Some(_)) => Err(Error::misuse(format!(
            "more than one request starts with {id}: give more of it"
        ))
        .into()),
        _ => Err(Error::misuse(format!("no request has the id {id}: see `cf requests`")).into()),
    }
}
