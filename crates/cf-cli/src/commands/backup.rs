use std::fs::File;
use std::path::{Path, PathBuf};

use cf::Home;
use cf::core::{Error, ErrorKind};
use serde_json::json;

use super::{Failure, Outcome, only};
use crate::home::{Call, Session, now};
use crate::passphrase;
use crate::place::Place;
use crate::show::{self, Output};

pub(super) async fn backup(session: &mut Session, file: PathBuf, out: &mut Output) -> Outcome {
    let path = std::path::absolute(&file)?;
    if path.exists() {
        return Err(exists(&path));
    }
    let passphrase = passphrase::choose_for_backup()?;
    let text = String::from_utf8(passphrase.expose().to_vec());
    let passphrase = text.map_err(|_| Error::misuse("the passphrase is no UTF-8"))?;
    session.settle().await?;
    let done = loop {
        let (path, passphrase) = (path.display().to_string(), passphrase.clone());
        let done = only(session.call(Call::Backup { path, passphrase }).await?)?;
        if done["pending"].as_bool() != Some(true) {
            break done;
        }
    };
    out.object(&done, |done| {
        Some(format!(
            "Backed up to {}: {}. Who has it and its passphrase is you.",
            show::line(done, "file"),
            show::size(&done["len"])
        ))
    })?;
    Ok(())
}

pub(super) fn restore(place: &Place, file: &Path, locked: bool, out: &mut Output) -> Outcome {
    if Home::exists(&place.home) {
        return Err(exists(&place.home));
    }
    let from = File::open(file)
        .map_err(|error| Error::new(ErrorKind::Misuse, format!("{}: {error}", file.display())))?;
    let passphrase = passphrase::of_backup()?;
    let unlock = match locked {
        true => Some(passphrase::choose()?),
        false => None,
    };
    let home = Home::restore(&place.home, from, &passphrase, unlock, now())?;
    let restored = json!({ "name": home.name(), "home": place.home.display().to_string() });
    out.object(&restored, |restored| {
        Some(format!(
            "Welcome back, {}. Your conversations begin anew with the next command; your links \
             have to be made again. Don't use the old home any more.",
            show::line(restored, "name")
        ))
    })?;
    Ok(())
}

fn exists(path: &Path) -> Failure {
    let message = format!("{} is there already: it is left as it is", path.display());
    Error::misuse(message).into()
}
