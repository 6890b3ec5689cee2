//! Sending a file, and saving one that came.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cf::core::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::send::{draw_id, failed, print};
use super::{Failure, Outcome, only};
use crate::home::{Call, Session, hex, unhex};
use crate::show::{self, Output};

/// How much of a file goes over the socket at once, in bytes.
const STEP: usize = 256 * 1024;

/// How long nothing may happen before a file that is not delivered is left to the
/// next process that opens the home.
const QUIET: Duration = Duration::from_secs(5);

/// The longest name that a saved file gets from its sender, in bytes.
const MAX_NAME: usize = 128;

/// Sends a file: its bytes as a large content, then what it is.
pub(super) async fn send(
    session: &mut Session,
    who: &str,
    path: &Path,
    caption: String,
    id: Option<String>,
    out: &mut Output,
) -> Outcome {
    let found = only(
        session
            .call(Call::Find {
                who: who.to_owned(),
            })
            .await?,
    )?;
    let talk = found["conversation"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let id = id.unwrap_or_else(draw_id);
    let mut file = File::open(path).map_err(|error| at(path, &error))?;
    let metadata = file.metadata().map_err(|error| at(path, &error))?;
    if !metadata.is_file() {
        return Err(Error::misuse(format!("{}: not a file", path.display())).into());
    }
    let len = metadata.len();
    let most = cf::conversation::segments::limits::MAX_LARGE;
    if len > most {
        let message = format!(
            "{}: {len} bytes, and at most {most} can be sent",
            path.display()
        );
        return Err(Error::misuse(message).into());
    }
    let digest = digest_of(&mut file, len).map_err(|error| at(path, &error))?;
    let bytes = format!("{id}/bytes");
    if len > 0 {
        spool(session, &talk, &bytes, &mut file, len, &digest)
            .await
            .map_err(|error| match error {
                Failure::Failed(error) if error.kind() == ErrorKind::Other => {
                    Error::misuse(format!("{}: {error}", path.display())).into()
                }
                error => error,
            })?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let attach = Call::Attach {
        conversation: talk.clone(),
        id: id.clone(),
        name: harmless_name(&name),
        media_type: media_type(path).to_owned(),
        len,
        digest: hex(&digest),
        content: bytes.clone(),
        caption,
    };
    let mut state = only(session.call(attach).await?)?;
    if len > 0 {
        let of_bytes = delivered(session, &talk, &bytes).await?;
        // A file is no better off than its bytes.
        state = match of_bytes["state"] == "delivered" {
            true => delivered(session, &talk, &id).await?,
            false => only(session.call(state_of(&talk, &id)).await?)?,
        };
        if failed(&of_bytes) || (of_bytes["state"] != "delivered" && !failed(&state)) {
            for field in ["state", "reason"] {
                state[field] = of_bytes[field].clone();
            }
        }
    }
    print(out, &state)?;
    match failed(&state) {
        true => Err(Failure::Told),
        false => Ok(()),
    }
}

fn state_of(talk: &str, id: &str) -> Call {
    let (conversation, id) = (talk.to_owned(), id.to_owned());
    Call::State { conversation, id }
}

/// Gives the home a file's bytes, from where it stopped the last time.
async fn spool(
    session: &mut Session,
    talk: &str,
    id: &str,
    file: &mut File,
    len: u64,
    digest: &[u8],
) -> Outcome {
    let begin = Call::Begin {
        conversation: talk.to_owned(),
        id: id.to_owned(),
        len,
    };
    let begun = only(session.call(begin).await?)?;
    if begun["state"].is_string() {
        return Ok(());
    }
    let filled = begun["filled"].as_u64().unwrap_or_default();
    file.rewind()?;
    let (mut at, mut hash) = (0, Sha256::new());
    let mut piece = vec![0; STEP];
    while at < len {
        let step = STEP.min(usize::try_from(len - at).unwrap_or(STEP));
        file.read_exact(&mut piece[..step])?;
        hash.update(&piece[..step]);
        if at >= filled {
            let spool = Call::Spool {
                conversation: talk.to_owned(),
                id: id.to_owned(),
                offset: at,
                bytes: hex(&piece[..step]),
            };
            session.call(spool).await?;
        }
        at += step as u64;
    }
    if hash.finalize()[..] != *digest {
        return Err(Error::new(ErrorKind::Other, "it changed while it was read").into());
    }
    let (conversation, id) = (talk.to_owned(), id.to_owned());
    session.call(Call::Finish { conversation, id }).await?;
    Ok(())
}

/// Waits for a file's bytes to be delivered, as long as something happens.
async fn delivered(session: &mut Session, talk: &str, id: &str) -> Result<Value> {
    let (mut before, mut since) = (Value::Null, Instant::now());
    loop {
        let state = only(session.call(state_of(talk, id)).await?)?;
        if state["state"] == "delivered" || failed(&state) || since.elapsed() > QUIET {
            return Ok(state);
        }
        let status = only(session.call(Call::Status).await?)?;
        if status["counters"] != before {
            (before, since) = (status["counters"].clone(), Instant::now());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Saves a file that came, where no other is unless `force`.
pub(super) async fn save(
    session: &mut Session,
    seq: u64,
    path: Option<PathBuf>,
    force: bool,
    out: &mut Output,
) -> Outcome {
    let file = only(session.call(Call::File { seq }).await?)?;
    let name = harmless_name(file["file"].as_str().unwrap_or_default());
    let target = match path {
        Some(path) if path.is_dir() => path.join(name),
        Some(path) => path,
        None => PathBuf::from(name),
    };
    if !force && fs::symlink_metadata(&target).is_ok() {
        let message = format!(
            "{} is there: name another path, or --force",
            target.display()
        );
        return Err(Error::misuse(message).into());
    }
    let folder = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // In the same folder, so that it takes the name at once and whole.
    let part = folder.join(format!(".cf-{}.part", draw_id()));
    let saved = write(session, &file, &part, seq).await;
    let saved = match saved {
        Ok(()) => place(&part, &target, force).map_err(|error| at(&target, &error).into()),
        Err(error) => Err(error),
    };
    if saved.is_err() {
        let _ = fs::remove_file(&part);
    }
    saved?;
    let saved = json!({
        "saved": target.display().to_string(),
        "len": file["len"],
        "digest": file["digest"],
    });
    out.object(&saved, |saved| {
        Some(format!("saved {}", show::line(saved, "saved")))
    })?;
    Ok(())
}

/// Writes a file's bytes, and checks that they are what its sender said.
async fn write(session: &mut Session, file: &Value, part: &Path, seq: u64) -> Outcome {
    let len = file["len"].as_u64().unwrap_or_default();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut writer = options.open(part).map_err(|error| at(part, &error))?;
    let (mut done, mut hash) = (0, Sha256::new());
    while done < len {
        let read = Call::Bytes {
            seq,
            offset: done,
            len: STEP,
        };
        let read = only(session.call(read).await?)?;
        let bytes = unhex(read["bytes"].as_str().unwrap_or_default())?;
        if bytes.is_empty() || bytes.len() as u64 > len - done {
            return Err(Error::rejected("the file has another length than its sender said").into());
        }
        hash.update(&bytes);
        writer.write_all(&bytes).map_err(|error| at(part, &error))?;
        done += bytes.len() as u64;
    }
    if hex(&hash.finalize()) != file["digest"].as_str().unwrap_or_default() {
        return Err(Error::rejected("the file is not the one that its sender named").into());
    }
    writer.sync_all().map_err(|error| at(part, &error))?;
    Ok(())
}

/// Gives a written file its name. A link takes no name that is taken.
fn place(part: &Path, target: &Path, force: bool) -> io::Result<()> {
    if force {
        return fs::rename(part, target);
    }
    match fs::hard_link(part, target) {
        Ok(()) => fs::remove_file(part),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links.
        Err(_) if fs::symlink_metadata(target).is_err() => fs::rename(part, target),
        Err(error) => Err(error),
    }
}

fn digest_of(file: &mut File, len: u64) -> io::Result<Vec<u8>> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; STEP];
    let mut limited = file.take(len);
    loop {
        match limited.read(&mut piece)? {
            0 => return Ok(hash.finalize().to_vec()),
            read => hash.update(&piece[..read]),
        }
    }
}

fn at(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Other, format!("{}: {error}", path.display()))
}

/// A name that is one, in one folder, that can be seen and typed, and is no
/// option of a command.
fn harmless_name(claimed: &str) -> String {
    let last = claimed.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown = show::harmless(last);
    let is_odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':' | '\0');
    let name: String = shown
        .chars()
        .map(|c| if is_odd(c) { '_' } else { c })
        .collect();
    let name = name
        .trim_start_matches(['.', '-', '~', ' '])
        .trim_end_matches(['.', ' ']);
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    match &name[..end] {
        "" => "file".to_owned(),
        name => name.to_owned(),
    }
}

fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match extension.to_ascii_lowercase().as_str() {
        "txt" => "text/plain",
        "md" => "text/markdown",
        "html" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "mp4" => "video/mp4",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::harmless_name;

    #[test]
    fn a_hostile_name_is_a_name_in_one_folder() {
        for (claimed, name) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("..", "file"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("", "file"),
            ("a\u{1b}[2Jb\nc", "a_u{1b}[2Jb_c"),
            ("gnp.\u{202e}exe", "gnp._u{202e}exe"),
            ("C:autoexec", "C_autoexec"),
        ] {
            assert_eq!(harmless_name(claimed), name);
        }
        let long = harmless_name(&"é".repeat(200));
        assert!(long.len() <= super::MAX_NAME && long.starts_with('é'));
    }
}
