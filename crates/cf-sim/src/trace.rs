use std::fmt::Write;

use cf_client::{Event, EventKind};
use cf_core::{ContentId, Timestamp};

/// What happened in a life, as a sequence diagram in Mermaid's notation; nothing is
/// written unless it is wanted.
pub(crate) struct Trace {
    wanted: bool,
    started: Timestamp,
    lines: String,
}

impl Trace {
    pub(crate) fn new(wanted: bool, started: Timestamp) -> Self {
        Self {
            wanted,
            started,
            lines: String::new(),
        }
    }

    /// Something on its way from one to another; `arrow` is Mermaid's: `->>`, `--x`.
    pub(crate) fn way(
        &mut self,
        now: Timestamp,
        ends: [&str; 2],
        arrow: &str,
        what: impl FnOnce() -> String,
    ) {
        if self.wanted {
            let ([from, to], at) = (ends, self.at(now));
            let _ = writeln!(self.lines, "  {from}{arrow}{to}: {} {at}", what());
        }
    }

    /// Something that happens to one.
    pub(crate) fn note(&mut self, now: Timestamp, whom: &str, what: impl FnOnce() -> String) {
        if self.wanted {
            let at = self.at(now);
            let _ = writeln!(self.lines, "  Note over {whom}: {} {at}", what());
        }
    }

    fn at(&self, now: Timestamp) -> String {
        let millis = now.since(self.started).as_millis();
        format!("({}.{:03} s)", millis / 1000, millis % 1000)
    }

    /// The diagram.
    pub(crate) fn diagram(&self) -> String {
        format!("sequenceDiagram\n{}", self.lines)
    }
}

/// An event of the log, in short.
pub(crate) fn told(event: &Event) -> String {
    let what = match &event.kind {
        EventKind::Message { id, .. } => format!("message {}", text(id)),
        EventKind::State { id, state, .. } => format!("{} is {state:?}", text(id)),
        EventKind::Request(request) => format!("request of {}", request.name),
        EventKind::Started { name, .. } => format!("started with {name}"),
        // What is beyond a comma or a semicolon would end the note.
        other => {
            let debug = format!("{other:?}");
            let end = debug.find([' ', ',', ';']).unwrap_or(debug.len());
            debug[..end].to_owned()
        }
    };
    format!("logs {}: {what}", event.seq)
}

/// A content's id, which is text here.
pub(crate) fn text(id: &ContentId) -> String {
    String::from_utf8_lossy(id.as_bytes()).into_owned()
}
