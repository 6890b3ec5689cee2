use std::time::Duration;

use cf::SystemRandom;
use cf::core::{Error, Random, Result};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{Instant, sleep};

use super::{Outcome, only};
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
    if text == "-" {
        if id.is_some() {
            let message =
                "--id names one message: with -, give ids as {\"id\": …, \"text\": …} and --json";
            return Err(Error::misuse(message).into());
        }
        return send_lines(session, who, out).await;
    }
    let id = id.unwrap_or_else(draw_id);
    let mut state = send(session, who, &id, text).await?;
    let deadline = Instant::now() + ACCEPTANCE;
    while state["state"] == "queued" && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
        let (who, id) = (who.to_owned(), id.clone());
        state = only(session.call(Call::State { who, id }).await?)?;
    }
    print(out, &state)
}

/// Sends each line of standard input, and tells each state once the message
/// can't be lost any more.
async fn send_lines(session: &mut Session, who: &str, out: &mut Output) -> Outcome {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut number = 0;
    while let Some(line) = lines.next_line().await? {
        number += 1;
        let (id, text) = match out.is_json() {
            true => parse(&line).map_err(|what| {
                Error::misuse(format!("line {number}: {what}; nothing after it was sent"))
            })?,
            false => (draw_id(), line),
        };
        if text.is_empty() {
            continue;
        }
        let state = send(session, who, &id, text).await?;
        print(out, &state)?;
    }
    Ok(())
}

async fn send(session: &mut Session, who: &str, id: &str, text: String) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let call = Call::Send {
            who: who.to_owned(),
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

fn print(out: &mut Output, state: &Value) -> Outcome {
    out.object(state, |state| {
        Some(match state["reason"].as_str() {
            Some(reason) => format!("failed: {reason}"),
            None => show::line(state, "state"),
        })
    })?;
    Ok(())
}

fn draw_id() -> String {
    let mut id = [0; 16];
    SystemRandom::default().fill(&mut id);
    hex(&id)
}
