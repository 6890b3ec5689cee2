//! The laws of [`cf_core::Store`].

use crate::law::laws;

laws! {
    WHOLE = "Store", "a batch is there whole or not at all",
        "A `commit` takes effect whole or not at all, also if the process is killed within it; after it answered `Ok` it is durable, to the degree that the store declares.";
    REFUSED = "Store", "a refused batch changes nothing",
        "As `get`, and `Misuse` for a key that a numbered namespace can't have; after an error nothing has changed.";
    DURABLE = "Store", "what was committed is there when the store is opened again",
        "A `commit` takes effect whole or not at all, also if the process is killed within it; after it answered `Ok` it is durable, to the degree that the store declares.";
    READS = "Store", "reads see all earlier commits",
        "Reads see all earlier commits and nothing of a later one.";
    ORDER = "Store", "a scan goes in the order of the bytes",
        "`scan` goes in the order of the keys' bytes.";
    SCAN = "Scan", "a scan reads the part that it names",
        "Which part of a namespace to read.";
    LAST = "Store", "the last change of a key counts",
        "Within a batch, the last change of a key counts.";
    NAMESPACES = "Store", "namespaces are apart and their keys opaque",
        "Opaque keys to opaque bytes, in namespaces. Knows no protocol's fields.";
    NUMBERED = "Store", "a numbered namespace takes numbers only",
        "its keys are numbers in eight bytes, the highest first; any other is `Misuse`.";
}
