//! Every label of a derivation, as on the specification page: the protocol id,
//! a space, the purpose. Each is used for one purpose only.

macro_rules! label {
    ($name:ident, $purpose:literal) => {
        pub(crate) const $name: &[u8] = concat!("/cf/conversation/private/1 ", $purpose).as_bytes();
    };
}

// From the secret of the first contact.
label!(ROOT_KEY, "root key");
label!(INITIATOR_HEADER_KEY, "initiator header key");
label!(RESPONDER_HEADER_KEY, "responder header key");
label!(SESSION_ID, "session id");
label!(STANDING_TAG, "standing tag");
label!(EXPORTER, "exporter");

// From the exporter secret.
label!(EXPORT, "export");

// From a root key and a Diffie-Hellman result.
label!(RATCHET, "ratchet");

// From a chain key.
label!(CHAIN_KEY, "chain key");
label!(MESSAGE_KEY, "message key");

// From a header key.
label!(TAG, "tag");
label!(HEADER, "header");

// From a message key.
label!(MESSAGE, "message");
