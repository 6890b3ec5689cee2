use std::sync::Arc;
use std::time::Duration;

use cf::core::{
    Capabilities, DeliveryAddress, DeliveryService, Error, Linkable, Outcome as Published,
    PublishRequest, Result, Resume, Start,
};
use cf::{Connectors, Home, SystemRandom};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{Failure, Outcome};
use crate::home::Session;
use crate::passphrase;
use crate::place::Place;
use crate::show::{self, Output};

/// How often the way to a service and back is measured.
const ROUNDS: usize = 5;
/// How long a service has for one of them, and to answer at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says how each service that a home uses does; fails if one is out of reach.
pub(super) async fn run(place: Place, out: &mut Output) -> Outcome {
    let (connectors, url) = (place.connectors(), services(place).await?);
    let mut all_well = true;
    for url in Connectors::split(&url) {
        let found = examine(&connectors, &url).await;
        all_well &= found["reachable"] == true;
        out.object(&found, |found| Some(describe(found)))?;
    }
    match all_well {
        true => Ok(()),
        false => Err(Failure::Told),
    }
}

/// What was asked for, or what the home uses, whoever has it open.
async fn services(place: Place) -> Result<String> {
    if let Some(url) = &place.service {
        return Ok(url.clone());
    }
    if !Home::exists(&place.home) {
        return Ok(place.service_url(None));
    }
    let passphrase = match Home::needs_passphrase(&place.home) {
        true => Some(passphrase::ask("Passphrase")?),
        false => None,
    };
    match Home::open(&place.home, passphrase) {
        Ok(home) => Ok(place.service_url(home.service())),
        Err(error) if error.is_retryable() => Ok(Session::open(place).await?.service()),
        Err(error) => Err(error),
    }
}

async fn examine(connectors: &Connectors, url: &str) -> Value {
    let connecting = timeout(PATIENCE, connectors.connect_one(url)).await;
    let late = |_| Err(Error::unavailable("no answer"));
    let connected = match connecting.unwrap_or_else(late) {
        Ok(connected) => connected,
        Err(error) => {
            return json!({
                "service": Connectors::shown(url),
                "reachable": false,
                "error": error.to_string(),
            });
        }
    };
    let service = connected.service;
    let round_trip = match measure(&service).await {
        Ok(time) => json!({ "round_trip_ms": time.as_secs_f64() * 1000.0 }),
        Err(error) => json!({ "round_trip_error": error.to_string() }),
    };
    let mut found = json!({
        "service": Connectors::shown(url),
        "reachable": true,
        "server": connected.server,
        "protocol": service.id().as_str(),
        "locator": service.locator().as_str(),
        "capabilities": capabilities(&service.capabilities()),
    });
    if let (Some(found), Some(more)) = (found.as_object_mut(), round_trip.as_object()) {
        found.extend(more.clone());
    }
    found
}

/// The median time from publishing a payload until it comes, at an address that
/// nobody else has.
async fn measure(service: &Arc<dyn DeliveryService>) -> Result<Duration> {
    let address = DeliveryAddress::random(&mut SystemRandom::default());
    let mut subscription = service.subscribe().await?;
    subscription.add(address.clone(), Start::Latest).await?;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let start = Instant::now();
        let payload = format!("cf doctor {round}");
        match service
            .publish(PublishRequest::new(address.clone(), payload))
            .await
        {
            Published::Accepted { .. } => {}
            other => return Err(Error::unavailable(format!("publishing gave {other:?}"))),
        }
        let next = timeout(PATIENCE, subscription.next()).await;
        next.map_err(|_| Error::unavailable("what was published did not come"))??;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[ROUNDS / 2])
}

fn capabilities(of: &Capabilities) -> Value {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
    let linkable = of.linkable.iter().map(|linkable| match linkable {
        Linkable::Address => "address",
        Linkable::Publisher => "publisher",
        Linkable::Subscriber => "subscriber",
        Linkable::Time => "time",
        Linkable::Size => "size",
        _ => "other",
    });
    json!({
        "max_payload_len": of.max_payload_len,
        "retention_s": seconds(of.retention),
        "resume": match of.resume {
            Resume::No => "no",
            Resume::WhereStopped => "where stopped",
            Resume::AnyCursor => "any cursor",
        },
        "order": of.order,
        "conditional_publish": of.conditional_publish,
        "duplicate_suppression_s": seconds(of.duplicate_suppression),
        "linkable": linkable.collect::<Vec<_>>(),
    })
}

fn describe(found: &Value) -> String {
    let mut lines = vec![show::line(found, "service")];
    let mut line = |name: &str, value: String| lines.push(format!("  {name:<22} {value}"));
    if found["reachable"] != true {
        line("out of reach", show::line(found, "error"));
        return lines.join("\n");
    }
    line("protocol", show::line(found, "protocol"));
    if !found["server"].is_null() {
        line("server", show::line(found, "server"));
    }
    line("locator", show::line(found, "locator"));
    match found["round_trip_ms"].as_f64() {
        Some(time) => line("round trip", format!("{time:.1} ms")),
        None => line("round trip", show::line(found, "round_trip_error")),
    }
    let declared = &found["capabilities"];
    let days = |name: &str| match declared[name].as_u64() {
        Some(seconds) if seconds % 86_400 == 0 => format!("{} days", seconds / 86_400),
        Some(seconds) => format!("{seconds} s"),
        None => "no".to_owned(),
    };
    let yes = |name: &str| match declared[name].as_bool() {
        Some(true) => "yes".to_owned(),
        _ => "no".to_owned(),
    };
    line(
        "longest payload",
        format!("{} bytes", declared["max_payload_len"]),
    );
    line("retains", days("retention_s"));
    line("resumes", show::line(declared, "resume"));
    line("one order", yes("order"));
    line("conditional publish", yes("conditional_publish"));
    line("drops repetitions", days("duplicate_suppression_s"));
    let linkable = declared["linkable"].as_array().into_iter().flatten();
    let linkable: Vec<_> = linkable.filter_map(Value::as_str).collect();
    line("whoever runs it sees", linkable.join(", "));
    lines.join("\n")
}
