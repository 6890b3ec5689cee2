//! The laws of [`cf_core::FramingStrategy`] and [`cf_core::Router`].

use crate::law::laws;

laws! {
    ROUND_TRIP = "FramingStrategy", "what is encoded is routed to the same tag and body",
        "What `encode` makes, any router of the strategy routes to the same tag and body.";
    DETERMINISTIC = "FramingStrategy", "encoding is deterministic",
        "Encoding is deterministic: the same frame gives the same bytes, so that an exact resend shows nothing new.";
    LIMIT = "FramingStrategy", "a body of the limit fits and one byte more is refused",
        "A body of `max_body_len` fits the payload limit; one byte more is refused with `Rejected`.";
    EMPTY = "FramingStrategy", "an empty body is refused",
        "`Rejected` for a body over `max_body_len` or an empty one.";
    CANONICAL = "FramingStrategy", "only what encode makes is routed",
        "Only what `encode` makes is routed; anything else is `Malformed`.";
    ROUTER = "Router", "a payload goes to the instance that expects its tag",
        "A payload goes to the instance that expects its tag, and a miss otherwise; a strategy uses `Tag::SingleUse` tags, `Tag::Standing` ones, or both.";
    FIRST_KEEPS = "Router", "the first instance keeps a tag until it forgets it",
        "The first instance that expects a tag keeps it until it forgets it.";
    UNCHANGED = "Router", "routing changes nothing",
        "`route` changes nothing.";
}
