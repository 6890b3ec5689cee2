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
            true => self.line(&escaped(&value.to_string())),
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

    /// Prints a file as it is.
    pub(crate) fn raw(&mut self, text: &str) -> io::Result<()> {
        self.line(text)
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }
}

/// JSON says the same with escapes for what could do something to a terminal: such
/// characters stand only in its strings.
fn escaped(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        match c.is_control() || turns(c) {
            true => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    shown.push_str(&format!("\\u{unit:04x}"));
                }
            }
            false => shown.push(c),
        }
    }
    shown
}

/// A field as text that can do nothing to a terminal.
pub(crate) fn text(value: &Value, field: &str) -> String {
    harmless(value[field].as_str().unwrap_or_default())
}

/// As [`text`], on one line, and nothing in it that can't be seen: for names.
pub(crate) fn line(value: &Value, field: &str) -> String {
    let mut shown = String::new();
    for c in text(value, field).chars() {
        match c {
            '\n' => shown.push(' '),
            '\u{ad}' | '\u{200c}' | '\u{200d}' | '\u{3164}' => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// A length in bytes, as people say it.
pub(crate) fn size(len: &Value) -> String {
    let len = len.as_u64().unwrap_or_default();
    match len {
        0..1_000 => format!("{len} bytes"),
        1_000..1_000_000 => format!("{}.{} kB", len / 1_000, len / 100 % 10),
        _ => format!("{}.{} MB", len / 1_000_000, len / 100_000 % 10),
    }
}

/// The start of an id: enough to tell it apart, and for `cf` to find it.
pub(crate) fn short(value: &Value, field: &str) -> String {
    text(value, field).chars().take(8).collect()
}

/// Shows controls and changes of direction as escapes, and keeps line breaks.
pub(crate) fn harmless(text: &str) -> String {
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
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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
        let json = super::escaped(&json!({ "a": "\u{9b}31m\u{e0041}é" }).to_string());
        assert_eq!(json, "{\"a\":\"\\u009b31m\\udb40\\udc41é\"}");
        let read: serde_json::Value = serde_json::from_str(&json).expect("it stays JSON");
        assert_eq!(read["a"], "\u{9b}31m\u{e0041}é");
    }
}
