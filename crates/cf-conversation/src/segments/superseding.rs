use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use cf_core::{Content, ContentId, Env, Input, Output, Result};

use crate::Error;

use super::conversation::SegmentsConversation;
use super::frame::{Frame, PartId};
use super::records;

impl SegmentsConversation {
    /// Gives back every content without a final state, whole: first those that
    /// are given as bytes, then the large ones, each in the order of sending.
    pub(super) fn supersede(&mut self, env: &mut Env<'_>) -> Result<()> {
        if self.superseded {
            return Ok(());
        }
        self.call(Input::Supersede, env)?;
        self.superseded = true;
        self.head_changed = true;
        self.absorb(false, env)?;
        // What was not sent comes back in frames of this layer.
        let (unsent, others) = (std::mem::take(&mut self.outputs).into_iter())
            .partition::<VecDeque<_>, _>(|output| matches!(output, Output::Unsent { .. }));
        self.outputs = others;
        let unsent = unsent.into_iter().filter_map(|output| match output {
            Output::Unsent { id, content } => Some((id, content)),
            _ => None,
        });
        let unsent = unsent.collect();
        let unsent = self.wholes(unsent, env)?;
        for number in self.outgoing.keys().copied().collect::<Vec<_>>() {
            self.remove_outgoing(number);
        }
        for (id, content) in unsent {
            self.outputs.push_back(Output::Unsent { id, content });
        }
        Ok(())
    }

    /// The contents that the frames stand for that were not sent.
    fn wholes(
        &self,
        unsent: Vec<(ContentId, Content)>,
        env: &Env<'_>,
    ) -> Result<Vec<(ContentId, Content)>> {
        let numbers: BTreeSet<u64> = (unsent.iter())
            .filter_map(|(id, _)| Some(PartId::decode(id)?.number))
            .collect();
        let mut wholes = Vec::new();
        let mut done = BTreeSet::new();
        // All parts of these have arrived, so they were sent before the others.
        for (number, one) in &self.outgoing {
            if !one.large && !numbers.contains(number) {
                wholes.push((one.content.clone(), self.bytes_of(*number, env)?));
            }
        }
        for (id, content) in unsent {
            match PartId::decode(&id) {
                Some(PartId { number, .. }) => {
                    let cut = self.outgoing.get(&number).filter(|one| !one.large);
                    if let Some(one) = cut
                        && done.insert(number)
                    {
                        wholes.push((one.content.clone(), self.bytes_of(number, env)?));
                    }
                }
                None => {
                    let Content::Bytes(bytes) = content else {
                        continue;
                    };
                    if let Ok(Frame::Content(bytes)) = Frame::decode(bytes) {
                        wholes.push((id, Content::Bytes(bytes)));
                    }
                }
            }
        }
        for one in self.outgoing.values().filter(|one| one.large) {
            wholes.push((one.content.clone(), Content::Large { len: one.len }));
        }
        Ok(wholes)
    }

    fn bytes_of(&self, number: u64, env: &Env<'_>) -> Result<Content> {
        let key = records::numbered(records::BYTES, number);
        let bytes: Option<Bytes> = self.record(&key, env)?;
        let bytes = bytes.ok_or(Error::Records("the bytes of a content are missing"))?;
        Ok(Content::Bytes(bytes))
    }
}
