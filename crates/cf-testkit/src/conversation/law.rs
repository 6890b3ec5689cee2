//! The laws of [`cf_core::ConversationProtocol`] and [`cf_core::Conversation`].

use crate::law::laws;

laws! {
    EXCHANGE = "ConversationProtocol", "both sides exchange content",
        "What `create` made and what `join` makes of its parameters exchange content, both ways where `Properties::bidirectional` is declared.";
    ONCE = "Conversation", "a content is told at most once",
        "A content is told at most once, and as delivered only when it was.";
    STATES = "ContentState", "a state is never better than the truth",
        "The state of a content that was sent. None is told before it is true.";
    RELIABLE = "Properties", "content is delivered in spite of loss",
        "Content is delivered in spite of loss, or its failure told.";
    ORDER = "ConversationEvent", "content comes in order while no gap is open",
        "Where `Properties::reliable` is declared, an author's contents come in the order of sending, a large one when it is whole, except between this and `GapClosed`.";
    REJECTED = "Conversation", "a refused input changes nothing",
        "An input that gives an error leaves the state exactly as it was, and puts nothing out.";
    FORGED = "Properties", "a forged frame brings no content",
        "The author of content is known.";
    UNKNOWN = "Conversation", "an unknown input is refused",
        "An input that it does not know gives `Unsupported`.";
    BUDGET = "Input", "a miss is answered within its budget",
        "How many tags the instance may derive.";
    PARAMETERS = "ConversationProtocol", "hostile parameters are refused",
        "`Malformed` or `Rejected` for its parameters, otherwise as `create`.";
    NEEDS = "Properties", "what a protocol needs is checked",
        "Needs `Capabilities::conditional_publish` and order.";
    RESTORED = "ConversationProtocol", "a restored instance behaves as before",
        "`restore` from the records that were put out gives an instance that behaves as the one before, and puts out the listens, expects and wake that are in force.";
    TAGS = "RoutingTag", "no tag is used for two frames",
        "Of one frame; the instance forgets it once the frame came.";
    KEY_STREAM = "Conversation", "no key and nonce are used for different bytes",
        "No two frames that it puts out use one key and nonce for different bytes, also if it is restored from records older than its last outputs.";
    CONFIDENTIAL = "Properties", "a frame shows no content",
        "Only participants read content.";
    UNLINKABLE = "Properties", "nothing in two frames links them",
        "No bytes of two payloads link them for who holds no key.";
    ID = "ConversationId", "a frame shows no conversation id",
        "Not on the wire outside of encryption.";
    EXPORT = "Conversation", "both sides export one secret",
        "Derives a secret that both sides of the present session can, to bind an upgrade to it.";
}
