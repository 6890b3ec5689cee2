use std::time::Duration;

use cf_core::BoxFuture;
use rumqttc::{
    AckMode, AsyncClient, ConnAck, ConnectionError, Event, IncomingPacketSizeLimit, Packet,
    PersistedAckMode, PersistedSession, Publish, SessionStore, SessionStoreError, SessionStoreKey,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Error;
use crate::connector::{Access, Target};

/// A connection that comes back by itself, for as long as this lives.
pub(crate) struct Link {
    pub(crate) client: AsyncClient,
    state: watch::Receiver<State>,
    _task: JoinSet<()>,
}

#[derive(Clone, Debug, Default)]
struct State {
    is_up: bool,
    /// How often the connection was lost.
    lost: u64,
    error: Option<Error>,
    max_packet_size: Option<u32>,
}

/// What a broker sends that a link does not handle by itself.
pub(crate) enum News {
    Connected { session_present: bool },
    Lost,
    Came(Box<Publish>),
}

/// The pause before the connection is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// How many requests wait for the connection's task.
const REQUESTS: usize = 1024;
const KEEP_ALIVE_SECONDS: u16 = 10;

impl Link {
    /// Connects. What comes is given to `tell`.
    pub(crate) async fn open(
        target: &Target,
        access: &Access,
        client_id: String,
        is_session: bool,
        mut tell: impl FnMut(News) + Send + 'static,
    ) -> Result<Self, Error> {
        let options = &target.options;
        let mut mqtt = rumqttc::MqttOptions::new(client_id, (target.host.clone(), target.port));
        let incoming = options.max_payload_len + MqttPacket::OVERHEAD;
        let incoming = u32::try_from(incoming).unwrap_or(u32::MAX);
        mqtt.set_keep_alive(KEEP_ALIVE_SECONDS)
            .set_ack_mode(AckMode::Manual)
            .set_max_packet_size(Some(incoming))
            .set_incoming_packet_size_limit(IncomingPacketSizeLimit::Bytes(incoming))
            .set_receive_maximum(Some(options.receive_maximum));
        if is_session {
            let expiry = u32::try_from(options.session_expiry.as_secs()).unwrap_or(u32::MAX);
            mqtt.set_clean_start(false)
                .set_session_expiry_interval(Some(expiry))
                .set_session_store(NothingPending { expiry });
        }
        if let Some((user, password)) = &access.credentials {
            mqtt.set_credentials(user.clone(), password.clone());
        }
        mqtt.set_transport(access.transport.clone());
        let (client, mut events) = AsyncClient::builder(mqtt).capacity(REQUESTS).build();
        let (sender, state) = watch::channel(State::default());
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(ack))) => {
                        tell(News::Connected {
                            session_present: ack.session_present,
                        });
                        sender.send_modify(|state| state.connect(&ack));
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        tell(News::Came(Box::new(publish)))
                    }
                    Ok(_) => {}
                    Err(ConnectionError::RequestsDone) => return,
                    Err(error) => {
                        tracing::debug!(%error, "the connection to the broker is lost");
                        sender.send_modify(|state| state.lose(error));
                        tell(News::Lost);
                        sleep(PAUSE).await;
                    }
                }
            }
        });
        let mut watched = state.clone();
        let decided = watched.wait_for(|state| state.is_up || state.error.is_some());
        let decided = timeout(options.timeout, decided).await;
        let error = match decided {
            Ok(Ok(state)) => state.error.clone(),
            _ => Some(Error::Away),
        };
        match error {
            Some(error) => Err(error),
            None => Ok(Self {
                client,
                state,
                _task: task,
            }),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state.borrow().is_up
    }

    pub(crate) fn max_packet_size(&self) -> Option<u32> {
        self.state.borrow().max_packet_size
    }

    /// What a request comes to, unless the connection breaks before.
    pub(crate) async fn answer<T>(
        &self,
        patience: Duration,
        request: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let mut state = self.state.clone();
        let lost = state.borrow_and_update().lost;
        let broken = state.wait_for(|state| state.lost != lost);
        tokio::select! {
            biased;
            answer = timeout(patience, request) => answer.map_err(|_| Error::NoAnswer),
            _ = broken => Err(Error::NoAnswer),
        }
    }
}

struct MqttPacket;

impl MqttPacket {
    const OVERHEAD: usize = 64 * 1024;
}

impl State {
    fn connect(&mut self, ack: &ConnAck) {
        self.is_up = true;
        self.error = None;
        let properties = ack.properties.as_ref();
        self.max_packet_size = properties.and_then(|properties| properties.max_packet_size);
    }

    fn lose(&mut self, error: ConnectionError) {
        self.is_up = false;
        self.lost += 1;
        self.error = Some(match error {
            ConnectionError::ConnectionRefused(code) => Error::Denied(format!("{code:?}")),
            _ => Error::Away,
        });
    }
}

/// The version of the library's model of a session that is filled in here.
const FORMAT_VERSION: u16 = 1;

/// What the client remembers of a session when it connects first: nothing that is on
/// its way, since such a connection never publishes. What the broker sent and got no
/// acknowledgement for, it sends again.
#[derive(Debug)]
struct NothingPending {
    expiry: u32,
}

impl SessionStore for NothingPending {
    fn load<'a>(
        &'a self,
        key: &'a SessionStoreKey,
    ) -> BoxFuture<'a, Result<Option<PersistedSession>, SessionStoreError>> {
        let session = PersistedSession {
            format_version: FORMAT_VERSION,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(self.expiry),
            outgoing_inflight_upper_limit: None,
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(std::future::ready(Ok(Some(session))))
    }

    fn save<'a>(
        &'a self,
        _: &'a SessionStoreKey,
        _: &'a PersistedSession,
    ) -> BoxFuture<'a, Result<(), SessionStoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> BoxFuture<'a, Result<(), SessionStoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
