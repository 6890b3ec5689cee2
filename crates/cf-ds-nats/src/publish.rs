use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use cf_core::{Condition, Outcome, PayloadId, PublishRequest};
use data_encoding::BASE64URL_NOPAD;
use tokio::time::{Instant, timeout};

use crate::Error;
use crate::api::{PublishAck, code};
use crate::cursor::Incarnation;
use crate::place::{Spot, message_id, successor_id};
use crate::stream::Directory;

/// Publishes, and says what became of it.
pub(crate) async fn publish(directory: &Directory, request: PublishRequest) -> Outcome {
    let PublishRequest {
        address,
        payload,
        condition,
        id,
    } = request;
    let spot = directory.place.spot(&address);
    let mut headers = HeaderMap::new();
    if let Some(id) = &id {
        headers.insert("Nats-Msg-Id", message_id(&address, id));
    }
    // A replicated stream checks the last number before it agrees on a message, so
    // that two may pass at once; repeated ids it drops when it applies what was agreed.
    // So whatever is to follow one cursor gets one id.
    let mut successor = None;
    let last = match &condition {
        None => None,
        Some(Condition::Empty) => Some(0),
        Some(Condition::LastIs(cursor)) => {
            let named = Incarnation::of_cursor(cursor).filter(|(_, sequence)| *sequence != 0);
            let streams = directory.streams();
            let known = named.and_then(|(incarnation, sequence)| {
                Some((streams.incarnation(incarnation)?.clone(), sequence))
            });
            let Some((stream, sequence)) = known else {
                return conflict(directory, &spot).await;
            };
            headers.insert("Nats-Expected-Stream", stream.name.as_str());
            if stream.is_replicated() {
                let Ok(publisher) = publisher(id.as_ref()) else {
                    return Outcome::Unavailable(Error::NoRandom.into());
                };
                headers.insert("Nats-Msg-Id", successor_id(&address, cursor));
                headers.insert(PUBLISHER, publisher.as_str());
                successor = Some((stream, publisher));
            }
            Some(sequence)
        }
    };
    if let Some(last) = last {
        headers.insert("Nats-Expected-Last-Subject-Sequence", last.to_string());
    }
    let (len, headers) = (payload.len(), (!headers.is_empty()).then_some(headers));
    // Only what the server drops when it comes twice may be sent twice.
    let is_repeatable = id.is_some() && condition.is_none();
    let answer = match ask(directory, &spot, headers, payload, is_repeatable).await {
        Ok(answer) => answer,
        Err(error @ Error::NoAnswer) => return Outcome::Unknown(error.into()),
        Err(error @ Error::PayloadTooLong { .. }) => return Outcome::Refused(error.into()),
        Err(error) => {
            if error == Error::NoStream {
                // It may be lost: then it is made again, for the next try.
                let _ = directory.refresh().await;
            }
            return Outcome::Unavailable(error.into());
        }
    };
    let Ok(ack) = serde_json::from_slice::<PublishAck>(&answer.payload) else {
        return Outcome::Unknown(Error::NoAnswer.into());
    };
    let incarnation = Incarnation::of_stream(&ack.stream);
    let told = match &ack.error {
        None if ack.duplicate => Some(ack.seq),
        Some(error) if error.err_code == code::WRONG_LAST => last_of(&error.description),
        _ => None,
    };
    if let (Some((stream, publisher)), Some(told)) = (&successor, told) {
        // It may be this publish itself, repeated.
        let own = directory.has_header(stream, told, PUBLISHER, publisher);
        return match own.await {
            Ok(true) => Outcome::Accepted {
                cursor: Some(incarnation.cursor(told)),
            },
            Ok(false) => conflict(directory, &spot).await,
            Err(error) => Outcome::Unknown(error.into()),
        };
    }
    match ack.error {
        None => {
            if let Some(stream) = directory.streams().incarnation(incarnation) {
                stream.see(ack.seq);
            }
            Outcome::Accepted {
                cursor: Some(incarnation.cursor(ack.seq)),
            }
        }
        Some(error) => match error.err_code {
            code::WRONG_LAST => match last_of(&error.description) {
                Some(last) => Outcome::Conflict {
                    current: (last != 0).then(|| incarnation.cursor(last)),
                },
                None => conflict(directory, &spot).await,
            },
            code::OTHER_STREAM => conflict(directory, &spot).await,
            code::TOO_LONG => {
                let max = directory.streams().max_msg_size().unwrap_or(len);
                Outcome::Refused(Error::PayloadTooLong { len, max }.into())
            }
            code => {
                let description = error.description;
                Outcome::Unavailable(Error::JetStream { code, description }.into())
            }
        },
    }
}

/// Sends a publish; sends it again if others that were sent later have answers: then it
/// or its answer was lost, for instance with the leader of the stream.
async fn ask(
    directory: &Directory,
    spot: &Spot,
    headers: Option<HeaderMap>,
    payload: Bytes,
    is_repeatable: bool,
) -> Result<Message, Error> {
    let (subject, connection) = (&spot.publish, &directory.connection);
    let sends = &directory.sends;
    let until = Instant::now() + directory.options.timeout;
    loop {
        let number = sends.next();
        let asking = connection.ask(subject.clone(), headers.clone(), payload.clone());
        let mut asking = pin!(asking);
        loop {
            match timeout(OVERTAKEN, &mut asking).await {
                Ok(answer) => {
                    if answer.is_ok() {
                        sends.answered(number);
                    }
                    return answer;
                }
                Err(_) if is_repeatable && sends.is_overtaken(number) && Instant::now() < until => {
                    break;
                }
                Err(_) => {}
            }
        }
    }
}

/// For how long an answer may be behind those to later publishes.
const OVERTAKEN: Duration = Duration::from_millis(250);

/// Counts the publishes that were sent, and the last that was answered.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Sends {
    fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::Relaxed)
    }

    fn answered(&self, number: u64) {
        self.answered.fetch_max(number, Ordering::Relaxed);
    }

    fn is_overtaken(&self, number: u64) -> bool {
        self.answered.load(Ordering::Relaxed) > number
    }
}

/// The header that tells who published what followed a cursor.
const PUBLISHER: &str = "Cf-Publisher";

/// The value of [`PUBLISHER`]: the publish's id, or what nobody else draws.
fn publisher(id: Option<&PayloadId>) -> Result<String, Error> {
    let mut bytes = [0; 16];
    match id {
        Some(id) => bytes = id.0,
        None => getrandom::fill(&mut bytes).map_err(|_| Error::NoRandom)?,
    }
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// A condition that names a cursor which no stream gave out.
async fn conflict(directory: &Directory, spot: &Spot) -> Outcome {
    let last = async {
        let stream = directory.stream(spot.prefix).await?;
        let last = directory.last_of(&stream, spot).await?;
        Ok::<_, Error>(last.map(|last| stream.incarnation.cursor(last)))
    };
    match last.await {
        Ok(current) => Outcome::Conflict { current },
        Err(error) => Outcome::Unavailable(error.into()),
    }
}

/// The number in "wrong last sequence: 5".
fn last_of(description: &str) -> Option<u64> {
    description.rsplit(' ').next()?.parse().ok()
}
