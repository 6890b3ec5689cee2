//! The laws of [`cf_core::DiscoveryProtocol`].

use crate::law::laws;

laws! {
    SURVIVES = "DiscoveryProtocol", "a bundle set survives byte for byte",
        "Resolving what `advertise` answered gives the same `BundleSet`, byte for byte, until it expires.";
    EXPIRES = "DiscoveryProtocol", "what has expired is not found",
        "Resolving what `advertise` answered gives the same `BundleSet`, byte for byte, until it expires.";
    OPAQUE = "DiscoveryProtocol", "any bytes are carried",
        "What it carries is opaque to it, and no path is trusted: the initialization protocol verifies.";
    UNRECOGNIZED = "DiscoveryProtocol", "a query that is not recognized contacts nobody",
        "A query that is not recognized contacts nobody.";
    HOSTILE = "DiscoveryProtocol", "a hostile answer is bounded and gives a typed error",
        "A hostile answer is bounded in bytes and number and gives a typed error.";
    REFRESH = "Advertisement", "a refresh keeps the query and shows the newest set",
        "What `Advertised::state` said the time before, to refresh the same query; `None` for a new one.";
}
