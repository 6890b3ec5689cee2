use std::time::Duration;

use cf::SystemRandom;
use cf::core::{Error, Random, Result};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{Instant, sleep};

use super::{Failure, Outcome, only};
use crate::home::{Call, Session, hex};
use crate::show::{self, Output};

/// How long a single message waits to be accepted by the service before its state
/// is told as it is.
const ACCEPTANCE: Duration = Duration::from_secs(2);
/// How long a conversation may take no content before sending fails.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(
    session: &mut Session,
    who: &str,
    text: String,
    id: Option<String>,
    out: &mut Output,
) -> Outcome {
    if text == "-" && id.is_some() {
        let message =
            "--id names one message: with -, give ids as {\"id\": …, \"text\": …} and --json";
        return Err(Failure::Usage(message.to_owned()));
    }
    // Once: names are what others claim, and may change meanwhile.
    let who = who.to_owned();
    let found = only(session.call(Call::Find { who }).await?)?;
    let talk = found["conversation"].as_str().unwrap_or_default();
    if text == "-" {
        return send_lines(session, talk, out).await;
    }
    let id = id.unwrap_or_else(draw_id);
    let state = send(session, talk, &id, text).await?;
    let state = accepted(session, talk, &id, state).await?;
    print(out, &state)?;
    match failed(&state) {
        true => Err(Failure::Told),
        false => Ok(()),
    }
}

/// Sends each line of standard input, and tells each state once the message
/// can't be lost any more.
async fn send_lines(session: &mut Session, talk: &str, out: &mut Output) -> Outcome {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut number, mut any_failed, mut last) = (0, false, None);
    let mut output_gone = false;
    while let Some(line) = lines.next_line().await? {
        number += 1;
        let (id, text) = match out.is_json() {
            true => parse(&line).map_err(|what| {
                Error::misuse(format!("line {number}: {what}; nothing after it was sent"))
            })?,
            false if line.is_empty() => continue,
            false => (draw_id(), line),
        };
        let state = send(session, talk, &id, text).await?;
        any_failed |= failed(&state);
        // Who does not want to know the states wants the messages sent all the same.
        if !output_gone {
            match print(out, &state) {
                Err(Failure::OutputGone) => output_gone = true,
                printed => printed?,
            }
        }
        last = Some((id, state));
    }
    if let Some((id, state)) = last {
        accepted(session, talk, &id, state).await?;
    }
    match any_failed {
        true => Err(Failure::Told),
        false => Ok(()),
    }
}

async fn send(session: &mut Session, talk: &str, id: &str, text: String) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let call = Call::Send {
            conversation: talk.to_owned(),
            id: id.to_owned(),
            text: text.clone(),
        };
        match session.call(call).await {
            // As much waits as a conversation keeps: some of it will go out.
            Err(error) if error.is_retryable() && Instant::now() < deadline => {
                sleep(Duration::from_millis(50)).await;
            }
            result => return only(result?),
        }
    }
}

/// Waits a moment for a message to be accepted by the service: through another
/// process, if that has the home open, or as the next one that has.
async fn accepted(session: &mut Session, talk: &str, id: &str, mut state: Value) -> Result<Value> {
    let deadline = Instant::now() + ACCEPTANCE;
    while state["state"] == "queued" && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
        let (conversation, id) = (talk.to_owned(), id.to_owned());
        state = only(session.call(Call::State { conversation, id }).await?)?;
    }
    Ok(state)
}

pub(super) fn failed(state: &Value) -> bool {
    state["state"] == "failed"
}

fn parse(line: &str) -> std::result::Result<(String, String), String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
    let text = value["text"].as_str().ok_or("it has no \"text\"")?;
    let id = match &value["id"] {
        Value::Null => draw_id(),
        Value::String(id) => id.clone(),
        _ => return Err("its \"id\" is no text".to_owned()),
    };
    Ok((id, text.to_owned()))
}

pub(super) fn print(out: &mut Output, state: &Value) -> Outcome {
    out.object(state, |state| {
        Some(match state["reason"].as_str() {
            Some(reason) => format!("failed: {reason}"),
            None => show::line(state, "state"),
        })
    })?;
    Ok(())
}

pub(super) fn draw_id() -> String {
    let mut id = [0; 16];
    SystemRandom::default().fill(&mut id);
    hex(&id)
}
