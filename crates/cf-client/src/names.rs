//! Names that people take for each other.

/// A name as people see it: names that look alike give the same text, which is for
/// comparing alone. `None` for one that says nothing.
///
/// Cases and white space are alike, and so are characters that are confusable by Unicode
/// Technical Standard #39, across scripts. Capital I and small l are as well.
///
/// ```
/// use cf_client::seen_as;
/// assert_eq!(seen_as("Raya  Vance"), seen_as(" r\u{0430}y\u{0430} vance"));
/// assert_eq!(seen_as("Ilya"), seen_as("llya"));
/// assert_ne!(seen_as("Raya"), seen_as("Maya"));
/// assert_eq!(seen_as(" \u{200b}"), None);
/// ```
pub fn seen_as(name: &str) -> Option<String> {
    let words: Vec<_> = name.split_whitespace().map(str::to_lowercase).collect();
    // The skeleton of a small letter may be a capital one.
    let seen: String = unicode_security::skeleton(&words.join(" "))
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'i' { 'l' } else { c })
        .collect();
    (!seen.trim().is_empty()).then_some(seen)
}
