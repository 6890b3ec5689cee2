//! Passphrases: from the environment for scripts, else asked for.

use std::io::IsTerminal;

use cf::core::{Error, Result, Secret};

const VARIABLE: &str = "CF_PASSPHRASE";

pub(crate) fn ask(prompt: &str) -> Result<Secret> {
    if let Some(passphrase) = std::env::var_os(VARIABLE) {
        return Ok(Secret::new(passphrase.into_encoded_bytes()));
    }
    if !std::io::stdin().is_terminal() {
        let message =
            format!("this home has a passphrase: set {VARIABLE}, or run cf in a terminal");
        return Err(Error::misuse(message));
    }
    let typed = rpassword::prompt_password(format!("{prompt}: "));
    let typed = typed.map_err(|error| Error::misuse(format!("no passphrase was read: {error}")))?;
    Ok(Secret::new(typed.into_bytes()))
}

/// Asks for a new one, twice where it is typed.
pub(crate) fn choose() -> Result<Secret> {
    let first = ask("New passphrase")?;
    if first.expose().is_empty() {
        return Err(Error::misuse("an empty passphrase protects nothing"));
    }
    if std::env::var_os(VARIABLE).is_none() && ask("Again")?.expose() != first.expose() {
        return Err(Error::misuse(
            "the two passphrases differ: nothing was made",
        ));
    }
    Ok(first)
}
