use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use cf::core::{Error, ErrorKind, Locator};
use serde_json::{Value, json};

use super::{Failure, Outcome, links, only};
use crate::home::{Call, Session};
use crate::picture::{self, Picture};
use crate::show::{self, Output};

/// How much of an id has to be given: nobody is accepted by an empty variable.
pub(super) const MIN_ID_LEN: usize = 6;

/// The largest file that a link is read from, in bytes.
const MAX_FILE_LEN: u64 = 32 << 20;

pub(super) async fn link(
    session: &mut Session,
    wanted: Call,
    qr: bool,
    png: Option<PathBuf>,
    file: Option<PathBuf>,
    out: &mut Output,
) -> Outcome {
    let link = only(session.call(wanted.clone()).await?)?;
    let text = link["link"].as_str().unwrap_or_default();
    if let Some(path) = file {
        std::fs::write(path, format!("{text}\n"))?;
    }
    if let Some(path) = png {
        std::fs::write(path, Picture::of(text)?.to_png()?)?;
    }
    if qr {
        out.hint(Picture::of(text)?.to_terminal().trim_end())?;
    }
    out.object(&link, |link| Some(show::line(link, "link")))?;
    if matches!(wanted, Call::Link { lan: true, .. }) {
        out.hint(&format!(
            "Everybody on this network sees that name while cf runs, for instance `cf read \
             --follow`, and can ask you. To end it: `cf revoke {}`.",
            show::short(&link, "id")
        ))?;
    }
    Ok(())
}

pub(super) async fn add(
    session: &mut Session,
    link: String,
    connect: Option<String>,
    out: &mut Output,
) -> Outcome {
    let can_ask = link != "-" && !out.is_json() && std::io::stdin().is_terminal();
    let link = read(link)?;
    session.settle().await?;
    let call = Call::Add { link };
    let mut added = only(session.call(call.clone()).await?)?;
    if let Some(services) = added["unknown_services"].as_array() {
        let services = services.iter().filter_map(|service| service.as_str());
        let services = services
            .map(Locator::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let service = agreed(&services, connect.as_deref(), can_ask, &added)?;
        session.add_service(&service).await?;
        session.settle().await?;
        added = only(session.call(call).await?)?;
        if added["unknown_services"].is_array() {
            return Err(Error::unsupported(show::text(&added, "why")).into());
        }
    }
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

/// A text: given, in a file or picture, or from standard input.
pub(super) fn read(link: String) -> Outcome<String> {
    let mut bytes = Vec::new();
    match &*link {
        "-" => {
            let read = std::io::stdin().take(MAX_FILE_LEN);
            { read }.read_to_end(&mut bytes)?;
        }
        path if Path::new(path).is_file() => {
            let read = std::fs::File::open(path)?.take(MAX_FILE_LEN);
            { read }.read_to_end(&mut bytes)?;
        }
        _ => return Ok(link),
    }
    if picture::is_png(&bytes) {
        return Ok(picture::read_png(&bytes)?);
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Error::malformed("this is neither a text nor a PNG picture"))?;
    Ok(text.trim().to_owned())
}

/// The service that the user agrees to connect to, of those that somebody else named:
/// nobody has contacted them yet.
fn agreed(
    services: &[Locator],
    connect: Option<&str>,
    can_ask: bool,
    answer: &Value,
) -> Outcome<Locator> {
    let named = services
        .iter()
        .find(|service| Some(service.as_str()) == connect);
    if let Some(service) = named {
        return Ok(service.clone());
    }
    let Some(first) = services.first() else {
        return Err(Error::unsupported(show::text(answer, "why")).into());
    };
    if can_ask {
        eprint!(
            "Who you add is reached through {first}, which you don't use yet. Whoever runs it \
             will see your network address. Connect to it, now and from now on? [y/N] "
        );
        let mut said = String::new();
        std::io::stdin().read_line(&mut said)?;
        if matches!(said.trim(), "y" | "Y" | "yes") {
            return Ok(first.clone());
        }
    }
    Err(Error::rejected(format!(
        "who you add is reached through {first}, which you don't use yet, and nobody has contacted \
         it; if you trust whoever gave you this, add: --connect {first}"
    ))
    .into())
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
            let looks_like = looks_like(request);
            Some(match request["supported"].as_bool() {
                Some(true) => format!("{id}  {name} ({from}…) asks for a conversation{through}: cf accept {id}{looks_like}"),
                _ => format!(
                    "{id}  {name} ({from}…) wants to talk with {protocol}, which this version does not have; \
                     it is kept. Specification: {}{looks_like}",
                    show::line(request, "specification")
                ),
            })
        })?;
    }
    Ok(())
}

/// Warns of a name that is taken for a contact's, and whose key is another.
pub(super) fn looks_like(value: &Value) -> String {
    match show::line(value, "looks_like") {
        name if name.is_empty() => String::new(),
        name => format!(
            "\n          *** It is NOT {name}, whom you know: the name looks alike, the key is another."
        ),
    }
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

pub(super) async fn decline(
    session: &mut Session,
    id: &str,
    tell: bool,
    out: &mut Output,
) -> Outcome {
    session.settle().await?;
    let request = find(session, id).await?;
    let id = request["request"].as_str().unwrap_or_default().to_owned();
    let before = session.renewals();
    let declined = match session
        .call(Call::Decline {
            id: id.clone(),
            tell,
        })
        .await
    {
        // The owner was gone after it had declined.
        Err(error) if error.kind() == ErrorKind::Misuse && session.renewals() > before => {
            json!({ "request": id, "declined": true, "told": tell })
        }
        declined => only(declined?)?,
    };
    out.object(&declined, |_| {
        Some(match tell {
            true => "Declined; they are told that the conversation is closed.".to_owned(),
            false => "Declined.".to_owned(),
        })
    })?;
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
