//! How the demo speaks: prose with figures for a person, or JSON lines.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

pub(super) struct Narrator {
    json: bool,
    bold: bool,
    step: Instant,
}

impl Narrator {
    pub(super) fn new(json: bool) -> Self {
        let bold = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            json,
            bold,
            step: now(),
        }
    }

    /// Opens a phase, with what it is about.
    pub(super) fn phase(&mut self, name: &str, about: &str) {
        if self.json {
            self.line(&[("phase", name.into()), ("about", about.into())]);
        } else if self.bold {
            self.print(&format!("\n\x1b[1m{name}\x1b[0m — {about}"));
        } else {
            self.print(&format!("\n{name} — {about}"));
        }
        self.step = now();
    }

    /// Says what somebody did, how long it took since the last, and figures.
    pub(super) fn tell(&mut self, who: &str, what: &str, figures: &[(&str, Value)]) {
        let took = self.step.elapsed();
        if self.json {
            let mut fields = vec![
                ("who", who.into()),
                ("what", what.into()),
                ("micros", micros(took).into()),
            ];
            fields.extend(figures.iter().cloned());
            self.line(&fields);
        } else {
            let figures: Vec<_> = figures
                .iter()
                .map(|(name, value)| match value {
                    Value::String(text) => format!("{name} {text}"),
                    other => format!("{name} {other}"),
                })
                .collect();
            self.print(&format!("  {who:<9} {what}"));
            let figures = figures.join(" · ");
            let pause = if figures.is_empty() { "" } else { " · " };
            self.print(&format!("            {}{pause}{figures}", spent(took)));
        }
        self.step = now();
    }

    /// Says what somebody sees, without a time.
    pub(super) fn show(&mut self, who: &str, what: &str) {
        if self.json {
            self.line(&[("who", who.into()), ("sees", what.into())]);
        } else {
            self.print(&format!("  {who:<9} {what}"));
        }
    }

    fn line(&self, fields: &[(&str, Value)]) {
        let fields: Map<_, _> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        self.print(&Value::Object(fields).to_string());
    }

    /// A reader that went away is no reason to fail.
    fn print(&self, line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

#[allow(clippy::disallowed_methods)]
pub(super) fn now() -> Instant {
    Instant::now()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn spent(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
