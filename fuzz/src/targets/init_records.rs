//! Stored records of inbox/1 and psk/1 that were damaged: a typed error or an
//! inbox, never a panic.

use std::sync::OnceLock;

use cf_core::{Env, ErrorKind};
use cf_testkit::{RecordMap, SeededRandom};

use crate::meeting::{Meeting, drain};
use crate::scene::NOW;
use crate::script::Script;

pub(super) fn run(data: &[u8]) {
    static MEETINGS: OnceLock<[(Meeting, RecordMap); 2]> = OnceLock::new();
    let meetings = MEETINGS.get_or_init(|| [Meeting::of_inbox(), Meeting::of_psk()].map(used));
    let mut script = Script::new(data);
    let (meeting, records) = &meetings[script.below(2)];
    let mut records = records.clone();
    script.damage(&mut records);
    let mut inbox = match meeting.inbox(&records) {
        Ok(inbox) => inbox,
        Err(error) => {
            let is_told = matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Other);
            return assert!(is_told, "{error:?}");
        }
    };
    for frame in &meeting.frames {
        meeting.receive(&mut *inbox, &mut records, frame);
    }
    let mut random = SeededRandom::new(7);
    let mut env = Env {
        now: NOW.after(std::time::Duration::from_secs(400 * 24 * 3600)),
        random: &mut random,
        records: &records.clone(),
    };
    inbox.handle_time(&mut env);
    drain(&mut *inbox, &mut records);
}

/// A meeting whose first invite was opened.
fn used(meeting: Meeting) -> (Meeting, RecordMap) {
    let mut records = meeting.records.clone();
    let mut inbox = meeting.inbox(&records).expect("its own records");
    let opened = meeting.receive(&mut *inbox, &mut records, &meeting.frames[0]);
    assert!(matches!(opened, Some(Ok(_))));
    (meeting, records)
}
