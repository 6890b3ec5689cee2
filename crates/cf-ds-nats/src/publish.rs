use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use cf_core::{Condition, DeliveryAddress, Outcome, PayloadId, PublishRequest};
use data_encoding::BASE64URL_NOPAD;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

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
        headers.insert("Nats-Msg-Id", message_id(&address, id, 0));
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
    let answering = match (&id, &condition) {
        (Some(id), None) => {
            let headers = headers.unwrap_or_default();
            let named = (&address, id);
            publish_named(directory, &spot, headers, payload, named).await
        }
        _ => ask(directory, &spot, headers, payload, false).await,
    };
    let answer = match answering {
        Ok(answer) => answer,
        Err(error @ Error::NoAnswer) => return Outcome::Unknown(error.into()),
        Err(error @ Error::PayloadTooLong { .. }) => return Outcome::Refused(error.into()),
        Err(error) => {
            if error == Error::NoStream {
                // It may be lost: then it is made again, for the next try.
                directory.look_for_lost();
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
        // Nobody has number 0.
        None if ack.seq == 0 => Outcome::Unknown(Error::NoAnswer.into()),
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
        let mut answer = timeout(OVERTAKEN, &mut asking).await;
        if answer.is_err() {
            let is_lost = sends.overtaken(number);
            answer = tokio::select! {
                biased;
                answer = &mut asking => Ok(answer),
                lost = timeout_at(until, is_lost), if is_repeatable => match lost {
                    Ok(()) => continue,
                    Err(_) => Ok(asking.await),
                },
            };
        }
        if let Ok(answer) = answer {
            if answer.is_ok() {
                sends.answered(number);
            }
            return answer;
        }
    }
}

/// Publishes under an id, and says what the stream answered.
///
/// A leader that was deposed before the servers agreed on a message may still know its
/// id, and acknowledge its repetition as a duplicate of number 0: then nobody has it, and
/// it is not taken for accepted. If that goes on, another id is taken.
async fn publish_named(
    directory: &Directory,
    spot: &Spot,
    mut headers: HeaderMap,
    payload: Bytes,
    (address, id): (&DeliveryAddress, &PayloadId),
) -> Result<Message, Error> {
    headers.insert("Nats-Msg-Id", message_id(address, id, 0));
    let (mut renames, mut forgotten_at) = (0, None);
    loop {
        let answer = ask(
            directory,
            spot,
            Some(headers.clone()),
            payload.clone(),
            true,
        )
        .await?;
        let ack = serde_json::from_slice::<PublishAck>(&answer.payload);
        if !ack.is_ok_and(|ack| ack.error.is_none() && ack.duplicate && ack.seq == 0) {
            return Ok(answer);
        }
        tracing::debug!(renames, "a duplicate of what the server does not have");
        let since = *forgotten_at.get_or_insert_with(Instant::now);
        if since.elapsed() >= AGREED {
            (renames, forgotten_at) = (renames + 1, None);
            headers.insert("Nats-Msg-Id", message_id(address, id, renames));
        }
        if renames > MAX_RENAMES {
            return Err(Error::NoAnswer);
        }
        sleep(OVERTAKEN).await;
    }
}

/// For how long servers may have to agree on a message.
const AGREED: Duration = Duration::from_secs(1);
const MAX_RENAMES: u8 = 3;

/// For how long an answer may be behind those to later publishes.
const OVERTAKEN: Duration = Duration::from_millis(250);

/// Counts the publishes that were sent, and the last that was answered.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    sent: AtomicU64,
    answered: watch::Sender<u64>,
}

impl Sends {
    fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::Relaxed)
    }

    fn answered(&self, number: u64) {
        self.answered.send_if_modified(|last| {
            let is_later = number > *last;
            *last = number.max(*last);
            is_later
        });
    }

    /// Waits until a later one has an answer.
    async fn overtaken(&self, number: u64) {
        let mut answered = self.answered.subscribe();
        // It can't end before this does.
        let _ = answered.wait_for(|answered| *answered > number).await;
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
