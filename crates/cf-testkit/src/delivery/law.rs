//! The laws of [`cf_core::DeliveryService`].

use crate::law::laws;

laws! {
    EVERY_SUBSCRIBER = "DeliveryService", "every subscriber gets each payload",
        "A payload published to an address is delivered, byte for byte, to every subscriber of that address, the publisher's own subscriptions among them, and to no other.";
    OTHER_ADDRESSES = "DeliveryService", "nothing comes for other addresses",
        "A payload published to an address is delivered, byte for byte, to every subscriber of that address, the publisher's own subscriptions among them, and to no other.";
    REMOVED = "Subscription", "a removed address brings nothing more",
        "After `remove` or drop nothing more of the address comes.";
    DROPPED = "Subscription", "a dropped subscription is over and harms nobody",
        "After `remove` or drop nothing more of the address comes.";
    LATE = "Capabilities", "a late subscriber gets what is retained",
        "How long a payload waits for subscribers that are away.";
    AFTER_CURSOR = "Subscription", "a subscription resumes after any cursor",
        "Subscribing again from a delivery's cursor brings what came after it.";
    WHERE_STOPPED = "Resume", "a subscription resumes where it stopped",
        "Where this subscriber last acknowledged.";
    LATEST = "Start", "a subscription from the latest brings only what comes then",
        "With the next payload to be published.";
    MOVED = "Subscription", "adding an address again moves it",
        "Subscribes to an address, too; adding it again moves it to `start`.";
    FOREIGN_CURSOR = "Subscription", "a foreign cursor is misuse and changes nothing",
        "`Misuse` for a cursor that is not of this service.";
    ORDER = "Capabilities", "every subscriber sees one order",
        "Whether every subscriber gets an address's payloads in one same order.";
    ONE_WINNER = "Capabilities", "a conditional publish has one winner",
        "Whether `PublishRequest::condition` is kept, linearizably per address.";
    CONFLICT = "Outcome", "a loser is told the current cursor",
        "The cursor of the last payload at the address, `None` if there is none.";
    CONDITION_UNSUPPORTED = "PublishRequest", "a condition is refused where it is not kept",
        "Refused with `Unsupported` where `Capabilities::conditional_publish` is not declared.";
    SUPPRESSION = "Capabilities", "a repeated publish is dropped",
        "For how long a repeated `PublishRequest::id` is dropped.";
    LIMIT = "DeliveryService", "the longest payload passes and one byte more is refused",
        "A payload of `Capabilities::max_payload_len` bytes is taken; one byte more is `Outcome::Refused`.";
    SLOW = "Subscription", "a slow subscriber harms no other",
        "A subscriber that does not call `next` is bounded and harms no other.";
    CANCEL_SAFE = "Subscription", "a dropped next loses nothing",
        "`next` is cancel-safe: a future dropped before it is ready loses nothing.";
    TRUTH = "DeliveryService", "an outcome is never better than the truth",
        "An `Outcome` is never better than the truth.";
    CONSTANT = "DeliveryService", "capabilities do not change",
        "Constant while it lives.";
    RECONNECTION = "Subscription", "a lost connection comes back by itself",
        "`Unavailable` while the connection is lost: call again, it resumes by itself.";
}
