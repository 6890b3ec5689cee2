use cf_core::{Env, Records, Result, Scan};

use super::conversation::{Origin, SegmentsConversation, own};
use super::records;

impl SegmentsConversation {
    /// Records of a conversation that was not wrapped yet are those of one that
    /// never sent anything in parts.
    pub(crate) fn restore(origin: Origin, env: &mut Env<'_>) -> Result<Self> {
        let identity = origin.identity.clone();
        let inner = (origin.protocol).restore(origin.conversation, identity, env)?;
        let mut restored = Self::assemble(origin, inner);
        let own = own(env.records);
        if let Some(head) = own.get(records::HEAD)? {
            let head = records::decode_head(head)?;
            restored.next_number = head.next_number;
            restored.room = usize::try_from(head.room).ok().filter(|room| *room > 0);
            restored.ended = head.ended;
            restored.superseded = head.superseded;
        }
        for (key, value) in own.scan(&Scan::prefix(vec![records::OUTGOING]))? {
            let outgoing = records::decode_outgoing(value)?;
            restored.outgoing.insert(records::number(&key)?, outgoing);
        }
        for (key, value) in own.scan(&Scan::prefix(vec![records::INCOMING]))? {
            let (content, incoming) = records::decode_incoming(&key, value)?;
            restored.incoming.insert(content, incoming);
        }
        restored.ask();
        restored.put_wake();
        Ok(restored)
    }
}
