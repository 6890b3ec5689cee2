//! `cf demo`: the specification's whole sequence, live, between Saro and Raya.

mod narrator;
mod postcard;

use std::sync::Arc;
use std::time::Duration;

use cf::core::{Content, ContentState, ConversationId, Delivery, Error, Identity, Result};
use cf::ds::{MemoryService, Tap};
use cf::identity::SoftwareIdentity;
use cf::store::MemoryStore;
use cf::{Client, EventKind, Events, LinkOptions, Request, SystemRandom};

use narrator::{Narrator, now};
use postcard::{POSTCARD, Postcards};

/// How long the demo waits for anything before it fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// One of the two, and what they have seen.
struct Person {
    name: &'static str,
    identity: Arc<SoftwareIdentity>,
    store: MemoryStore,
    service: MemoryService,
}

impl Person {
    fn new(name: &'static str, service: &MemoryService) -> Result<Self> {
        let identity = Arc::new(SoftwareIdentity::generate(&mut SystemRandom::default())?);
        Ok(Self {
            name,
            identity,
            store: MemoryStore::default(),
            service: service.clone(),
        })
    }

    fn open(&self, with_postcards: bool) -> Result<Client> {
        let mut builder = cf::builder(self.name)
            .identity(self.identity.clone())
            .store(Arc::new(self.store.clone()))
            .service(self.service.clone())
            .conversation(cf::conversation::private_2())
            .conversation(cf::conversation::private());
        if with_postcards {
            builder = builder.conversation(Arc::new(Postcards));
        }
        builder.open()
    }

    fn fingerprint(&self) -> String {
        hex(&self.identity.id().as_bytes()[..8])
    }
}

pub(crate) async fn run(json: bool) -> Result<()> {
    let began = now();
    let mut says = Narrator::new(json);
    let service = MemoryService::new("demo")?;
    let mut wire = Wire {
        tap: service.observe(1000),
        seen: Vec::new(),
    };
    let (saro_is, raya_is) = (
        Person::new("Saro", &service)?,
        Person::new("Raya", &service)?,
    );
    let saro = saro_is.open(true)?;
    let raya = raya_is.open(false)?;
    let mut at_saro = saro.events()?;
    let mut at_raya = raya.events()?;

    says.phase("The protocol", "five choices, each a component");
    for (choice, component) in saro.descriptor().components() {
        says.show("", &format!("{choice:<17} {}", component.id));
    }

    says.phase("Discovery", "how Saro learns of Raya");
    let link = raya.link(LinkOptions::default()).await?;
    says.tell(
        "Raya",
        "makes a link and gives it to Saro",
        &[("characters", link.len().into())],
    );
    says.show("", &format!("{}…", &link[..60.min(link.len())]));

    says.phase("Initialization", "how Raya learns that Saro wants to talk");
    let talk = saro.add(&link).await?;
    says.tell(
        "Saro",
        "seals an invite for Raya: hybrid post-quantum, the sender hidden",
        &[],
    );
    send(&saro, talk, "1", "Hello Raya, did you get my invite?").await?;
    says.tell("Saro", "already sends, before Raya has decided", &[]);
    let request = request(&mut at_raya).await?;
    let from = request
        .from
        .as_ref()
        .map(|id| hex(&id.as_bytes()[..8]))
        .unwrap_or_default();
    says.tell(
        "Raya",
        &format!(
            "sees a request from “{}”, and nobody is told that she did",
            request.name
        ),
        &[
            ("fingerprint", from.clone().into()),
            ("payloads", wire.lengths().into()),
        ],
    );
    if from != saro_is.fingerprint() {
        return Err(Error::rejected("the request is not from Saro"));
    }
    let talk_at_raya = raya.accept(request.id).await?;
    says.tell(
        "Raya",
        "accepts",
        &[("protocol", request.protocol.to_string().into())],
    );

    says.phase("Operation", "how they exchange content");
    let text = message(&mut at_raya, talk_at_raya).await?;
    says.tell(
        "Raya",
        &format!("reads “{text}”"),
        &[("payloads", wire.lengths().into())],
    );
    let lines = [
        "I did. Nobody else can read this, can they?",
        "No. Nor tell that these payloads belong together.",
        "Then let us see what the service has seen.",
    ];
    for (number, line) in lines.into_iter().enumerate() {
        let id = (number + 2).to_string();
        if number % 2 == 0 {
            send(&raya, talk_at_raya, &id, line).await?;
            let text = message(&mut at_saro, talk).await?;
            says.tell(
                "Saro",
                &format!("reads “{text}”"),
                &[("payloads", wire.lengths().into())],
            );
        } else {
            send(&saro, talk, &id, line).await?;
            let text = message(&mut at_raya, talk_at_raya).await?;
            says.tell(
                "Raya",
                &format!("reads “{text}”"),
                &[("payloads", wire.lengths().into())],
            );
        }
    }
    delivered(&saro, talk, "3").await?;
    says.tell(
        "Saro",
        "knows that Raya's client has his last message: delivered",
        &[],
    );

    says.phase("What the service saw", "every payload since the beginning");
    wire.lengths();
    let seen = &wire.seen;
    seen.iter()
        .for_each(|payload| says.show("", &observed(payload)));
    let all: usize = seen.iter().map(|payload| payload.payload.len()).sum();
    let total = format!(
        "{} payloads, {all} bytes; no name, key, id or text in them",
        seen.len()
    );
    says.show("Observer", &total);
    check_unseen(seen, &lines)?;

    says.phase(
        "Another version",
        "Saro invites Raya by a protocol that she does not have",
    );
    let cards = saro.add_by(&link, &POSTCARD).await?;
    send(&saro, cards, "card", "Greetings from the future").await?;
    says.tell(
        "Saro",
        "sends an invite and a postcard",
        &[("protocol", POSTCARD.as_str().into())],
    );
    let unknown = self::request(&mut at_raya).await?;
    let missing = raya.accept(unknown.id).await.err();
    says.tell(
        "Raya",
        "opens and keeps the invite; her client says what is missing",
        &[
            ("supported", unknown.supported.into()),
            (
                "says",
                missing
                    .map(|error| error.to_string())
                    .unwrap_or_default()
                    .into(),
            ),
        ],
    );
    raya.shutdown().await;
    let raya = raya_is.open(true)?;
    let mut at_raya = raya.events_after(at_raya.last());
    let replayed = self::request(&mut at_raya).await?;
    says.tell(
        "Raya",
        "installs it and starts again: the kept invite is replayed",
        &[("supported", replayed.supported.into())],
    );
    let cards_at_raya = raya.accept(replayed.id).await?;
    let text = message(&mut at_raya, cards_at_raya).await?;
    says.tell("Raya", &format!("accepts, and reads “{text}”"), &[]);
    send(&raya, cards_at_raya, "reply", "Received, thank you").await?;
    let text = message(&mut at_saro, cards).await?;
    says.tell("Saro", &format!("reads “{text}”"), &[]);

    says.phase(
        "Done",
        &format!("{:.2} s in all", began.elapsed().as_secs_f64()),
    );
    saro.shutdown().await;
    raya.shutdown().await;
    Ok(())
}

async fn send(client: &Client, to: ConversationId, id: &str, text: &str) -> Result<()> {
    client
        .send(to, cf::content_id(id)?, text.to_owned())
        .await
        .map(drop)
}

/// What the service sees.
struct Wire {
    tap: Tap,
    seen: Vec<Delivery>,
}

impl Wire {
    /// The lengths of the payloads since the last call, in bytes.
    fn lengths(&mut self) -> String {
        let new = self.tap.take();
        let lengths: Vec<_> = new.iter().map(|d| d.payload.len().to_string()).collect();
        self.seen.extend(new);
        format!("{} bytes", lengths.join(" + "))
    }
}

/// Waits for the first event that `pick` takes.
async fn wait<T>(events: &mut Events, mut pick: impl FnMut(EventKind) -> Option<T>) -> Result<T> {
    let waiting = async {
        while let Some(event) = events.next().await? {
            if let Some(found) = pick(event.kind) {
                return Ok(found);
            }
        }
        Err(Error::unavailable("the client stopped"))
    };
    let late = |_| Err(Error::unavailable("nothing came within five seconds"));
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(late)
}

async fn request(events: &mut Events) -> Result<Request> {
    wait(events, |event| match event {
        EventKind::Request(request) => Some(request),
        _ => None,
    })
    .await
}

async fn message(events: &mut Events, of: ConversationId) -> Result<String> {
    wait(events, |event| match event {
        EventKind::Message {
            conversation,
            content: Content::Bytes(content),
            ..
        } if conversation == of => Some(String::from_utf8_lossy(&content).into_owned()),
        _ => None,
    })
    .await
}

/// Waits until a content is known to be delivered.
async fn delivered(client: &Client, to: ConversationId, id: &str) -> Result<()> {
    let waiting = async {
        while client.state(to, cf::content_id(id)?).await? != Some(ContentState::Delivered) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    let late = |_| {
        Err(Error::unavailable(
            "no acknowledgement came within five seconds",
        ))
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(late)
}

fn observed(delivery: &Delivery) -> String {
    format!(
        "to {}…  {:>5} bytes  {}…",
        hex(&delivery.address.as_bytes()[..6]),
        delivery.payload.len(),
        hex(&delivery.payload[..20.min(delivery.payload.len())])
    )
}

/// The demo does not claim what is not so.
fn check_unseen(seen: &[Delivery], lines: &[&str]) -> Result<()> {
    let words = lines.iter().copied().chain(["Saro", "Raya", "/cf/"]);
    for word in words {
        let shows = |d: &Delivery| d.payload.windows(word.len()).any(|w| w == word.as_bytes());
        if seen.iter().any(shows) {
            return Err(Error::rejected(format!("the service saw “{word}”")));
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
