//! Comparing safety numbers.

use std::path::PathBuf;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use cf::core::{Error, ErrorKind};

use super::{Failure, Outcome, contacts, only};
use crate::home::{Call, Session};
use crate::picture::Picture;
use crate::show::{self, Output};

pub(super) async fn run(
    session: &mut Session,
    who: String,
    number: Vec<String>,
    qr: bool,
    png: Option<PathBuf>,
    out: &mut Output,
) -> Outcome {
    let number = match number.len() {
        0 => None,
        1 => Some(contacts::read(number.concat())?),
        _ => Some(number.concat()),
    };
    let compared = number.is_some();
    let verified = only(session.call(Call::Verify { who, number }).await?)?;
    if verified["matches"] == false {
        return mismatch(&verified, out);
    }
    out.object(&verified, |verified| {
        let name = show::line(verified, "name");
        Some(match (compared, verified["verified"].as_bool()) {
            (true, _) => format!("The same number: {name} is verified."),
            (false, Some(true)) => {
                format!("{}\n{name} is verified.", grouped(verified))
            }
            (false, _) => format!(
                "{}\nCompare it with what {name} sees, face to face or by a call; then: \
                 cf verify {} NUMBER",
                grouped(verified),
                show::short(verified, "conversation")
            ),
        })
    })?;
    if let Some(path) = png {
        let code = Picture::of(&show::text(&verified, "digits"))?;
        std::fs::write(path, code.to_png()?)?;
    }
    if qr && !out.is_json() {
        out.hint(&picture(&show::text(&verified, "digits"))?)?;
    }
    Ok(())
}

pub(super) async fn undo(session: &mut Session, who: String, out: &mut Output) -> Outcome {
    let undone = only(session.call(Call::Unverify { who }).await?)?;
    out.object(&undone, |undone| {
        let name = show::line(undone, "name");
        Some(format!("{name} is not verified any more."))
    })?;
    Ok(())
}

/// Tells that the numbers differ, in a way that nobody overlooks.
fn mismatch(verified: &serde_json::Value, out: &mut Output) -> Outcome {
    let name = show::line(verified, "name");
    if out.is_json() {
        out.object(verified, |_| None)?;
    }
    Err(Failure::Failed(Error::new(
        ErrorKind::Rejected,
        format!(
            "THE NUMBERS DIFFER. Nothing was marked. Somebody may be between you and {name}, or \
             this is the number of another conversation: say nothing that matters, and compare \
             again.\nThe number here:\n{}",
            grouped(verified)
        ),
    )))
}

/// The number in three lines of four groups.
fn grouped(verified: &serde_json::Value) -> String {
    let number = show::text(verified, "safety_number");
    let groups: Vec<_> = number.split(' ').collect();
    let lines: Vec<_> = groups.chunks(4).map(|line| line.join(" ")).collect();
    lines.join("\n")
}

/// A code that a camera reads, light on dark, as terminals are.
fn picture(digits: &str) -> Outcome<String> {
    let code = QrCode::new(digits)
        .map_err(|error| Error::new(ErrorKind::Other, format!("no picture: {error}")))?;
    Ok(code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build())
}
