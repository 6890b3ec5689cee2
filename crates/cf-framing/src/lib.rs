//! Framing strategies of chat protocols: how payloads are encoded, and which
//! state machine decodes one. The contract is [`cf_core::FramingStrategy`].
//!
//! | id | strategy | finds an instance by |
//! |---|---|---|
//! | `/cf/framing/tagged/1` | [`Tagged`] | one probe of a hash map |
//! | `/cf/framing/wap/1` | [`Wap`] | a trial of every standing tag |

mod error;
mod tagged;
mod wap;

pub use error::Error;
pub use tagged::Tagged;
pub use wap::Wap;
