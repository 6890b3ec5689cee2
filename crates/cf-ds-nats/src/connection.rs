use std::ops::ControlFlow;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, HeaderMap, Message, Request};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::Error;

/// A connection that comes back by itself, and tells when it was lost.
#[derive(Clone)]
pub(crate) struct Connection {
    client: Client,
    links: watch::Receiver<Links>,
    timeout: Duration,
}

/// What happened to the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    /// How often it was lost.
    pub(crate) lost: u64,
    /// How often something may have been missed that was not asked for.
    pub(crate) doubts: u64,
}

/// How many messages of one address wait for the subscription's task at most.
const CAPACITY: usize = 128;
/// How often the server is asked whether it is there.
const PING: Duration = Duration::from_secs(10);
/// The longest pause before the connection is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Connection {
    pub(crate) async fn open(
        options: ConnectOptions,
        servers: Vec<async_nats::ServerAddr>,
        patience: Duration,
    ) -> Result<Self, Error> {
        let (links, receiver) = watch::channel(Links::default());
        let options = options
            .subscription_capacity(CAPACITY)
            .connection_timeout(patience)
            .request_timeout(None)
            .ping_interval(PING)
            .max_reconnects(None)
            .reconnect_delay_callback(|attempt| {
                let pause = Duration::from_millis(10 << attempt.min(10));
                pause.min(LONGEST_PAUSE)
            })
            .event_callback(move |event| {
                links.send_modify(|links| match event {
                    Event::Disconnected => links.lost += 1,
                    Event::Connected | Event::SlowConsumer(_) => links.doubts += 1,
                    _ => {}
                });
                std::future::ready(())
            });
        let connecting = timeout(patience, options.connect(servers));
        let client = match connecting.await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                return Err(match error.kind() {
                    ConnectErrorKind::ServerParse => Error::Url,
                    ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                        Error::Denied
                    }
                    _ => Error::Away,
                });
            }
            Err(_) => return Err(Error::Away),
        };
        Ok(Self {
            client,
            links: receiver,
            timeout: patience,
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn links(&self) -> watch::Receiver<Links> {
        self.links.clone()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Asks, and answers at the latest when the connection breaks.
    ///
    /// # Errors
    /// `Away` and `NoStream` if nobody got it; `NoAnswer` if somebody may have;
    /// `PayloadTooLong` if the server does not take it.
    pub(crate) async fn ask(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<Message, Error> {
        let mut links = self.links.clone();
        let lost = links.borrow_and_update().lost;
        if !self.is_up() {
            return Err(Error::Away);
        }
        let (len, max) = (payload.len(), self.client.max_payload());
        let mut request = Request::new().payload(payload).timeout(None);
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let asking = timeout(self.timeout, self.client.send_request(subject, request));
        let broken = links.wait_for(|links| links.lost != lost);
        tokio::select! {
            biased;
            answer = asking => match answer {
                Ok(Ok(message)) => Ok(message),
                Ok(Err(error)) => Err(match error.kind() {
                    RequestErrorKind::NoResponders => Error::NoStream,
                    RequestErrorKind::MaxPayloadExceeded => Error::PayloadTooLong { len, max },
                    _ => Error::NoAnswer,
                }),
                Err(_) => Err(Error::NoAnswer),
            },
            _ = broken => Err(Error::NoAnswer),
        }
    }

    /// Asks for several answers, until `take` has enough.
    ///
    /// # Errors
    /// As [`ask`](Self::ask); `NoAnswer` if there were fewer.
    pub(crate) async fn gather(
        &self,
        subject: String,
        payload: Bytes,
        mut take: impl FnMut(Message) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut links = self.links.clone();
        let lost = links.borrow_and_update().lost;
        if !self.is_up() {
            return Err(Error::Away);
        }
        let inbox = self.client.new_inbox();
        let subscribing = self.client.subscribe(inbox.clone()).await;
        let mut answers = subscribing.map_err(|_| Error::Away)?;
        let asking = self.client.publish_with_reply(subject, inbox, payload);
        asking.await.map_err(|_| Error::Away)?;
        let gathering = async {
            while let Some(answer) = answers.next().await {
                if take(answer).is_break() {
                    return Ok(());
                }
            }
            Err(Error::NoAnswer)
        };
        let broken = links.wait_for(|links| links.lost != lost);
        tokio::select! {
            biased;
            gathered = timeout(self.timeout, gathering) => gathered.unwrap_or(Err(Error::NoAnswer)),
            _ = broken => Err(Error::NoAnswer),
        }
    }
}
