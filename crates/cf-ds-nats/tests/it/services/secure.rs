use cf_core::{Connector, ErrorKind, Start};
use cf_ds_nats::{NatsConnector, NatsService};
use cf_testkit::servers::{Certificates, NatsServer};
use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::{next, publish, subscribe};

fn tls(certificates: &Certificates) -> String {
    let file = |name: &str| certificates.folder().join(name).display().to_string();
    format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\" }}",
        file("cert.pem"),
        file("key.pem")
    )
}

/// Only whoever the authority vouches for is talked to; the file that says so and the
/// credentials are the user's alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_vouches_for_the_server() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let server = NatsServer::with_configuration(&format!(
        "{}\nauthorization {{ users: [ {{ user: raya, password: secret }} ] }}",
        tls(&certificates)
    ));
    let host = format!("127.0.0.1:{}", server.port());
    let credentials = server.folder().join("credentials");
    std::fs::write(&credentials, "raya:secret\n").unwrap();
    let credentials = credentials.display();
    let connector = NatsConnector::default();
    for (url, ca, expected) in [
        (
            format!("tls://{host}/?credentials={credentials}"),
            None,
            false,
        ),
        (
            format!("tls://{host}/?credentials={credentials}"),
            Some(&others),
            false,
        ),
        (
            format!("tls://{host}/?credentials={credentials}"),
            Some(&certificates),
            true,
        ),
        // The server asks for TLS by itself.
        (
            format!("nats://{host}/?credentials={credentials}"),
            Some(&certificates),
            true,
        ),
        (
            format!("tls://raya:secret@{host}/?x="),
            Some(&certificates),
            false,
        ),
        (
            format!("tls://raya:secret@{host}/?create=no"),
            Some(&certificates),
            true,
        ),
    ] {
        let ca = ca.map(|ca| format!("&ca={}", ca.authority().display()));
        let service = connector
            .connect(&(url.clone() + &ca.unwrap_or_default()))
            .await;
        assert_eq!(service.is_ok(), expected, "{url}: {:?}", service.err());
        if let Ok(service) = service {
            let scheme = url.split(':').next().unwrap();
            assert_eq!(service.locator().as_str(), format!("{scheme}://{host}"));
        }
    }
    let url = format!(
        "tls://raya:secret@{host}/?ca={}",
        certificates.authority().display()
    );
    let service = NatsService::connect(&url).await.unwrap();
    let mut subscription = subscribe(&service, "raya", Start::Earliest).await;
    publish(&service, "raya", 1).await;
    assert_eq!(next(&mut *subscription).await.payload, "1");
    // A server without TLS is not talked to by a URL that asks for it.
    let plain = NatsServer::start();
    let url = format!(
        "tls://127.0.0.1:{}/?ca={}",
        plain.port(),
        certificates.authority().display()
    );
    assert!(connector.connect(&url).await.is_err());
}

/// A user may be a key, and an account of the server a world of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_keys_and_accounts_are_apart() {
    let (saro, raya) = (KeyPair::new_user(), KeyPair::new_user());
    let account = |key: &KeyPair| {
        format!(
            "{{ jetstream: enabled, users: [ {{ nkey: {} }} ] }}",
            key.public_key()
        )
    };
    let server = NatsServer::with_configuration(&format!(
        "accounts {{ ONE: {}, OTHER: {} }}",
        account(&saro),
        account(&raya)
    ));
    let connect = async |who: &str, key: &KeyPair| {
        let path = server.folder().join(who);
        std::fs::write(&path, key.seed().unwrap() + "\n").unwrap();
        NatsService::connect(&format!("{}/?credentials={}", server.url(), path.display())).await
    };
    let (one, other) = (
        connect("saro", &saro).await.unwrap(),
        connect("raya", &raya).await.unwrap(),
    );
    publish(&one, "raya", 1).await;
    publish(&other, "raya", 2).await;
    for (service, expected) in [(&one, "1"), (&other, "2")] {
        let mut subscription = subscribe(service, "raya", Start::Earliest).await;
        assert_eq!(next(&mut *subscription).await.payload, expected);
    }
    let error = connect("nobody", &KeyPair::new_user()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
}

/// What `nsc` writes as `.creds`: a statement signed by the account, and the user's key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_of_an_operator_let_users_in() {
    let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
    let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
    let few = json!({ "subs": -1, "conn": -1, "leaf": -1, "data": -1, "payload": -1,
        "imports": -1, "exports": -1, "wildcards": true });
    let limits = json!({ "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        "subs": -1, "conn": -1, "leaf": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
        "wildcards": true });
    let of_operator =
        json!({ "type": "operator", "version": 2, "system_account": system.public_key() });
    let of_account = json!({ "type": "account", "version": 2, "limits": limits });
    let of_system = json!({ "type": "account", "version": 2, "limits": few });
    let of_user = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let server = NatsServer::with_configuration(&format!(
        "operator: \"{}\"\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: \"{}\", {}: \"{}\" }}",
        statement(&operator, &operator, of_operator),
        system.public_key(),
        account.public_key(),
        statement(&operator, &account, of_account),
        system.public_key(),
        statement(&operator, &system, of_system),
    ));
    let path = server.folder().join("raya.creds");
    let (jwt, seed) = (statement(&account, &user, of_user), user.seed().unwrap());
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    std::fs::write(&path, text).unwrap();
    let url = format!("{}/?credentials={}", server.url(), path.display());
    let service = NatsService::connect(&url).await.unwrap();
    publish(&service, "raya", 1).await;
    let error = NatsService::connect(&server.url()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
}

/// A signed statement about a key, as the server reads it.
fn statement(by: &KeyPair, about: &KeyPair, claims: Value) -> String {
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let body = json!({ "jti": about.public_key(), "iat": 1_700_000_000, "iss": by.public_key(),
        "name": "test", "sub": about.public_key(), "nats": claims });
    let [header, body] =
        [header, body].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    let signed = format!("{header}.{body}");
    let signature = BASE64URL_NOPAD.encode(&by.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}
