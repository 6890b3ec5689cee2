//! What is printed: objects for scripts, sentences for people.

use std::io::{self, Write};

use serde_json::Value;

/// Standard output.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints an object as it is, or what it says to a person, if it does.
    pub(crate) fn object(
        &mut self,
        value: &Value,
        sentence: impl FnOnce(&Value) -> Option<String>,
    ) -> io::Result<()> {
        match self.json {
            true => self.line(&value.to_string()),
            false => sentence(value).map_or(Ok(()), |text| self.line(&text)),
        }
    }

    /// Prints to a person only.
    pub(crate) fn hint(&mut self, text: &str) -> io::Result<()> {
        match self.json {
            true => Ok(()),
            false => self.line(text),
        }
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }
}

/// A field as text that can do nothing to a terminal.
pub(crate) fn text(value: &Value, field: &str) -> String {
    harmless(value[field].as_str().unwrap_or_default())
}

/// As [`text`], on one line.
pub(crate) fn line(value: &Value, field: &str) -> String {
    text(value, field).replace('\n', " ")
}

/// The start of an id: enough to tell it apart, and for `cf` to find it.
pub(crate) fn short(value: &Value, field: &str) -> String {
    text(value, field).chars().take(8).collect()
}

/// Shows controls and changes of direction as escapes, and keeps line breaks.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push('\n'),
            '\t' => shown.push(' '),
            c if c.is_control() || turns(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that change the direction of what follows, or cannot be seen.
fn turns(c: char) -> bool {
    matches!(c,
        '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_hostile_text_does_nothing_to_a_terminal() {
        let value = json!({ "text": "a\u{1b}[2Jb\u{202e}c\r\u{7}\nd é 你" });
        let shown = super::text(&value, "text");
        assert_eq!(shown, "a\\u{1b}[2Jb\\u{202e}c\\u{d}\\u{7}\nd é 你");
        assert!(!super::line(&value, "text").contains('\n'));
    }
}
