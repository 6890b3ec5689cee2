//! What anybody on the network can say.

use std::sync::Arc;

use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleSet, DiscoveryProtocol, ErrorKind, ProtocolId,
    Result, Secret, Timestamp, Withdrawal,
};
use cf_discovery_lan::{Announcement, Heard, Lan, names};
use cf_testkit::SeededRandom;
use serde_json::Value;

use crate::street::{NOW, Street, advertisement, client};

fn vectors() -> Value {
    let text = include_str!("../../../../docs/spec/vectors/discovery-lan-1.json");
    serde_json::from_str(text).expect("it is good")
}

fn unhex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().expect("it is good");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("it is good");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn heard(vector: &Value) -> Heard {
    let strings = vector["strings"].as_array().expect("it is good").iter();
    let string = |it: &Value| {
        (
            it[0].as_str().expect("it is good").to_owned(),
            unhex(&it[1]),
        )
    };
    Heard {
        strings: strings.map(string).collect(),
    }
}

#[test]
fn announcements_are_as_the_vectors_say() {
    for vector in vectors()["announcements"].as_array().unwrap() {
        let [name, link, instance] =
            ["name", "link", "instance"].map(|field| vector[field].as_str().unwrap());
        let made = Announcement::new(name, link).unwrap();
        let mut heard = heard(vector);
        let strings = made.encode().into_iter();
        let strings: Vec<_> = strings
            .map(|(key, value)| (key, value.into_bytes()))
            .collect();
        assert_eq!(strings, heard.strings);
        assert!(
            strings
                .iter()
                .all(|(key, value)| key.len() + value.len() < 255)
        );
        assert_eq!(made.instance(), instance);
        assert_eq!(Announcement::decode(&heard).as_ref(), Ok(&made));
        heard.strings.push(("later".to_owned(), vec![0xff]));
        heard.strings.push(("n".to_owned(), b"again".to_vec()));
        assert_eq!(Announcement::decode(&heard), Ok(made));
    }
}

#[test]
fn records_that_break_the_format_give_typed_errors() {
    for vector in vectors()["refused"].as_array().unwrap() {
        let error = Announcement::decode(&heard(vector)).unwrap_err();
        let kind = format!("{:?}", error.kind()).to_lowercase();
        assert_eq!(vector["kind"], *kind, "{}: {error}", vector["why"]);
    }
}

#[test]
fn any_strings_are_read_or_refused() {
    let random = &mut SeededRandom::new(1);
    let keys = ["txtvers", "n", "0", "1", "2", "x"];
    for _ in 0..20_000 {
        let strings = (0..random.below(8)).map(|_| {
            let key = keys[random.below(6) as usize].to_owned();
            let value = (0..random.below(4)).map(|_| random.below(256) as u8);
            (key, value.collect())
        });
        let heard = Heard {
            strings: strings.collect(),
        };
        if let Ok(announcement) = Announcement::decode(&heard) {
            // What was taken is announced again as the same.
            let strings = announcement.encode().into_iter();
            let strings = strings.map(|(key, value)| (key, value.into_bytes()));
            let again = Heard {
                strings: strings.collect(),
            };
            assert_eq!(Announcement::decode(&again).unwrap(), announcement);
        }
    }
}

#[tokio::test]
async fn a_crowd_is_bounded_and_said_to_be_one() {
    let street = Arc::new(Street::default());
    for number in 0..33 {
        let link = format!("cfintro_1_{number}");
        street.say_link(&number.to_string(), "Raya", &link);
    }
    // The same once more is one.
    street.say_link("again", "Saro", "cfintro_1_0");
    street.say_link("and again", "saro", "cfintro_1_0");
    let client = client("Pax", 1, &street, None);
    let error = client.resolve("lan:Raya", NOW).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("32"), "{error}");
    street.say("rubbish", &[("txtvers", b"1")]);
    let names = names(&*street).await.unwrap();
    assert_eq!(names, [("Raya".to_owned(), 33), ("Saro".to_owned(), 1)]);
    street.say_link("z", "New", "x");
    street.say("newer", &[("txtvers", b"7")]);
    let error = client.resolve("lan:Zoe", NOW).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn a_state_is_kept_in_one_form_and_another_is_refused() {
    for vector in vectors()["announcements"].as_array().unwrap() {
        let street = Arc::new(Street::default());
        let id = ProtocolId::parse(vector["discovery"].as_str().unwrap()).unwrap();
        let inner = Written {
            id,
            query: vector["link"].as_str().unwrap().to_owned(),
            state: vector["inner"].as_str().map(|_| unhex(&vector["inner"])),
        };
        let raya = Lan::new(street.clone(), vec![Arc::new(inner)]);
        let raya = raya.named(vector["name"].as_str().unwrap()).unwrap();
        let made = raya.advertise(advertisement(1)).await.unwrap();
        let state = made.state.unwrap().expose().to_vec();
        assert_eq!(state, unhex(&vector["state"]));
        // Without its end it may be another state of the other discovery.
        let head = state.len() - vector["inner"].as_str().map_or(0, |inner| inner.len() / 2);
        for len in (0..head).filter(|len| *len < 40 || *len + 40 > head) {
            let error = raya.resume(Secret::from(&state[..len])).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misuse, "{len}");
        }
        let withdrawal = Withdrawal {
            state: Secret::from(&state[1..]),
            generation: 2,
            now: NOW,
            seed: [0; 32],
        };
        let error = raya.withdraw(withdrawal).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        raya.resume(Secret::from(&state[..])).await.unwrap();
    }
}

/// A discovery that always gives the same.
struct Written {
    id: ProtocolId,
    query: String,
    state: Option<Vec<u8>>,
}

impl DiscoveryProtocol for Written {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn recognizes(&self, query: &str) -> bool {
        query == self.query
    }

    fn advertise(&self, _: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        let state = self.state.as_ref().map(|state| Secret::from(&state[..]));
        let refresh_at = state.is_some().then_some(NOW);
        let query = self.query.clone();
        Box::pin(async move {
            Ok(Advertised {
                query,
                state,
                refresh_at,
            })
        })
    }

    fn resolve<'a>(&'a self, _: &'a str, _: Timestamp) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
        Box::pin(async { Err(cf_core::Error::unavailable("nothing is kept")) })
    }
}
