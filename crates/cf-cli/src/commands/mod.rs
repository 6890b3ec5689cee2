//! What each command does.

mod backup;
mod contacts;
mod describe;
mod doctor;
mod file;
mod history;
mod init;
mod links;
mod read;
mod send;
mod status;
mod verify;

use std::io;
use std::time::Duration;

use cf::core::{Error, ErrorKind, Result};

use crate::arguments::{Command, Global};
use crate::home::{Call, Session};
use crate::place::Place;
use crate::show::Output;
use crate::{Compose, demo};

/// How long a command waits at its end for what is not published yet.
const LINGER: Duration = Duration::from_secs(1);

/// Why a command did not do what it should.
pub(crate) enum Failure {
    Failed(Error),
    /// Used wrongly, in a way that the arguments' parser does not see.
    Usage(String),
    /// It said itself what failed.
    Told,
    /// Nobody reads what it prints: no reason to complain.
    OutputGone,
}

pub(crate) type Outcome<T = ()> = std::result::Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputGone,
            _ => Self::Failed(Error::new(
                ErrorKind::Other,
                format!("input or output: {error}"),
            )),
        }
    }
}

pub(crate) async fn run(command: Command, global: &Global, compose: Compose) -> Outcome {
    let mut out = Output::new(global.json);
    if let Command::Demo = command {
        return Ok(demo::run(global.json).await?);
    }
    if let Command::Check { first, second } = command {
        return describe::check(&first, second.as_deref(), &mut out);
    }
    let place = Place::new(global, compose)?;
    if let Command::Init { name, passphrase } = command {
        return init::run(&place, &name, passphrase, &mut out).await;
    }
    if let Command::Restore { file, passphrase } = command {
        return backup::restore(&place, &file, passphrase, &mut out);
    }
    if let Command::Doctor = command {
        return doctor::run(place, &mut out).await;
    }
    let mut session = Session::open(place).await?;
    let outcome = match command {
        Command::Link {
            full,
            directory,
            lan,
            once,
            days,
            label,
            quota,
            rate,
            qr,
            png,
            out: file,
        } => {
            let wanted = Call::Link {
                id: send::draw_id(),
                full,
                directory,
                lan,
                once,
                days,
                label,
                quota,
                rate,
            };
            contacts::link(&mut session, wanted, qr, png, file, &mut out).await
        }
        Command::Links => links::links(&mut session, &mut out).await,
        Command::Lan => links::lan(&mut session, &mut out).await,
        Command::Revoke { id } => links::revoke(&mut session, &id, &mut out).await,
        Command::Block { who } => links::block(&mut session, &who, &mut out).await,
        Command::Unblock { who } => links::unblock(&mut session, &who, &mut out).await,
        Command::Blocked => links::blocked(&mut session, &mut out).await,
        Command::Add { link, connect } => {
            contacts::add(&mut session, link, connect, &mut out).await
        }
        Command::Requests => contacts::requests(&mut session, &mut out).await,
        Command::Accept { id } => contacts::accept(&mut session, &id, &mut out).await,
        Command::Decline { id, tell } => contacts::decline(&mut session, &id, tell, &mut out).await,
        Command::Send {
            who,
            text,
            file: Some(path),
            id,
        } => {
            let caption = text.unwrap_or_default();
            file::send(&mut session, &who, &path, caption, id, &mut out).await
        }
        Command::Send {
            who,
            text,
            file: None,
            id,
        } => send::run(&mut session, &who, text.unwrap_or_default(), id, &mut out).await,
        Command::Save { seq, path, force } => {
            file::save(&mut session, seq, path, force, &mut out).await
        }
        Command::Read { follow, since } => read::run(&mut session, follow, since, &mut out).await,
        Command::Config { setting, value } => {
            status::config(&mut session, setting, value, &mut out).await
        }
        Command::Verify {
            who, undo: true, ..
        } => verify::undo(&mut session, who, &mut out).await,
        Command::Verify {
            who,
            number,
            qr,
            png,
            ..
        } => verify::run(&mut session, who, number, qr, png, &mut out).await,
        Command::Backup { file } => backup::backup(&mut session, file, &mut out).await,
        Command::Contacts => history::contacts(&mut session, &mut out).await,
        Command::History {
            who,
            limit,
            before,
            after,
            rebuild,
        } => {
            let from = (before, after);
            history::history(&mut session, who, from, limit, rebuild, &mut out).await
        }
        Command::Search {
            words,
            within,
            limit,
            before,
        } => {
            let words = words.join(" ");
            history::search(&mut session, words, within, before, limit, &mut out).await
        }
        Command::Delete { who, seq, .. } => history::delete(&mut session, who, seq, &mut out).await,
        Command::Keep { days } => history::keep(&mut session, days, &mut out).await,
        Command::Chats => status::chats(&mut session, &mut out).await,
        Command::Status => status::status(&mut session, &mut out).await,
        Command::Describe { toml } => describe::describe(&mut session, toml, &mut out).await,
        Command::Init { .. }
        | Command::Restore { .. }
        | Command::Check { .. }
        | Command::Doctor
        | Command::Demo => Ok(()),
    };
    session.close(LINGER).await;
    outcome
}

/// The only object of an answer.
fn only(mut lines: Vec<serde_json::Value>) -> Result<serde_json::Value> {
    let one = lines.pop();
    one.ok_or_else(|| Error::new(ErrorKind::Other, "the home's owner gave no answer"))
}
