use cf::Home;
use cf::core::{Result, Secret};
use serde_json::json;

use super::Outcome;
use crate::home::hex;
use crate::passphrase;
use crate::place::Place;
use crate::show::{self, Output};

pub(super) async fn run(
    place: &Place,
    name: &str,
    with_passphrase: bool,
    out: &mut Output,
) -> Outcome {
    let passphrase: Option<Secret> = match with_passphrase {
        true => Some(passphrase::choose()?),
        false => None,
    };
    // What can't be used is not made.
    if let Some(url) = &place.service {
        place.connect(url).await?;
    }
    let home = make(place, name, passphrase)?;
    let made = json!({
        "home": place.home.display().to_string(),
        "name": name,
        "fingerprint": hex(home.identity().id().as_bytes()),
    });
    out.object(&made, |made| {
        Some(format!(
            "You are {}, in {}.\nFingerprint: {}",
            show::line(made, "name"),
            show::line(made, "home"),
            show::line(made, "fingerprint")
        ))
    })?;
    out.hint("Next: `cf link` makes a link to give to somebody; `cf add LINK` takes one.")?;
    Ok(())
}

fn make(place: &Place, name: &str, passphrase: Option<Secret>) -> Result<Home> {
    let mut home = Home::create(&place.home, name, passphrase)?;
    if let Some(url) = &place.service {
        home.set_service(url)?;
    }
    Ok(home)
}
