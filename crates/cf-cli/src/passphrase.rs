//! Passphrases: from the environment for scripts, else asked for.

use std::io::IsTerminal;

use cf::core::{Error, Result, Secret};

const VARIABLE: &str = "CF_PASSPHRASE";

/// That of a backup, so that a script can give both.
const BACKUP_VARIABLE: &str = "CF_BACKUP_PASSPHRASE";

pub(crate) fn ask(prompt: &str) -> Result<Secret> {
    ask_or(VARIABLE, prompt)
}

pub(crate) fn of_backup() -> Result<Secret> {
    ask_or(BACKUP_VARIABLE, "Passphrase of the backup")
}

fn ask_or(variable: &str, prompt: &str) -> Result<Secret> {
    if let Some(passphrase) = std::env::var_os(variable) {
        return Ok(Secret::new(passphrase.into_encoded_bytes()));
    }
    if !std::io::stdin().is_terminal() {
        let message = format!("a passphrase is needed: set {variable}, or run cf in a terminal");
        return Err(Error::misuse(message));
    }
    let typed = rpassword::prompt_password(format!("{prompt}: "));
    let typed = typed.map_err(|error| Error::misuse(format!("no passphrase was read: {error}")))?;
    Ok(Secret::new(typed.into_bytes()))
}

/// Asks for a new one, twice where it is typed.
pub(crate) fn choose() -> Result<Secret> {
    choose_or(VARIABLE, "New passphrase")
}

pub(crate) fn choose_for_backup() -> Result<Secret> {
    choose_or(BACKUP_VARIABLE, "Passphrase for the backup")
}

fn choose_or(variable: &str, prompt: &str) -> Result<Secret> {
    let first = ask_or(variable, prompt)?;
    if first.expose().is_empty() {
        return Err(Error::misuse("an empty passphrase protects nothing"));
    }
    if std::env::var_os(variable).is_none() && ask_or(variable, "Again")?.expose() != first.expose()
    {
        return Err(Error::misuse(
            "the two passphrases differ: nothing was made",
        ));
    }
    Ok(first)
}
