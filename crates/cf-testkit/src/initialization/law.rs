//! The laws of [`cf_core::InitializationProtocol`], [`cf_core::Handshake`] and
//! [`cf_core::Inbox`].

use crate::law::laws;

laws! {
    SECRETS = "InitializationProtocol", "both sides export equal secrets and no two handshakes do",
        "Both sides of a handshake export equal secrets; no two handshakes do.";
    BOUND = "Handshake", "the secret is bound to the conversation",
        "The secret that the conversation is made from; bound to both participants, the bundle and the conversation's id.";
    SEALED = "Invitation", "an invite arrives as it was sealed",
        "What the sender sealed.";
    BUNDLE = "BundleInfo", "a bundle reads as it was specified",
        "Its content, as its owner specified it.";
    LISTENS = "Inbox", "a bundle is listened for",
        "Makes a bundle and listens at its points.";
    BAD_BUNDLE = "InitializationProtocol", "a sender refuses a bad bundle",
        "A sender refuses a bundle that is not authentic or has expired.";
    TAMPERED = "InitializationProtocol", "a tampered invite is refused and nothing stored",
        "An invite is opened only by the inbox whose bundle it was made for, and only if everything in it authenticates. Then and only then is anything stored.";
    RECIPIENT = "InitializationProtocol", "an invite is for its recipient only",
        "An invite is opened only by the inbox whose bundle it was made for, and only if everything in it authenticates. Then and only then is anything stored.";
    REPEATED = "InitializationProtocol", "the same invite again changes nothing",
        "The same bytes again are `Opened::Repeated`.";
    ONE_TIME = "BundleSpec", "a one-time bundle opens one invite",
        "Whether one invite uses it up.";
    EXPIRED = "Inbox", "an invite for what expired long ago is refused",
        "`Malformed`, or `Rejected` for what is not authentic, too old, or over the bound of its bundle.";
    REVOKED = "Inbox", "a revoked bundle opens nothing",
        "Ends a bundle: no further invite is opened with it, its keys are gone.";
    UNKNOWN = "InitializationProtocol", "an unknown conversation protocol surfaces",
        "An invite for a conversation protocol that the recipient does not have is opened all the same: an older client recognizes the presence of a newer type.";
    RESTORED = "Inbox", "a restored inbox behaves as before",
        "Its outputs of one call are committed together or not at all; restored from them it behaves as before.";
    POINT = "Inbox", "an invite is recognized at its point only",
        "Whether a frame that routed nowhere is an invite for one of the bundles that name `point`.";
    CHEAP = "Inbox", "recognizing costs no asymmetric operation",
        "`recognize` costs no asymmetric operation, and no more than one trial for each live bundle of the point.";
    OTHER_CONVERSATION = "Handshake", "a handshake seals no other conversation",
        "`Rejected` if the invite is too long, `Misuse` if it names another conversation than the handshake.";
    SHOWN = "ConversationId", "an invite shows no id",
        "Not on the wire outside of encryption.";
}
