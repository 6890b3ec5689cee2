//! Framing strategies of chat protocols: how payloads are encoded, and which
//! state machine decodes one. The contract is [`cf_core::FramingStrategy`].
//!
//! | id | strategy | finds an instance by |
//! |---|---|---|
//! | `/cf/framing/tagged/1` | [`Tagged`] | one probe of a hash map |

mod error;
mod tagged;

pub use error::Error;
pub use tagged::Tagged;
