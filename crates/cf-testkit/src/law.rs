use std::fmt;

/// A law of a contract, and the sentence of its documentation that it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Law {
    /// What holds, in a few words.
    pub name: &'static str,
    /// The item of `cf-core` whose documentation states it.
    pub contract: &'static str,
    /// The sentence, without the links in it.
    pub sentence: &'static str,
}

/// What a law says of an implementation.
pub type Verdict<T = ()> = Result<T, Violation>;

/// A law that an implementation broke, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    /// The law.
    pub law: Law,
    /// What was found instead.
    pub found: String,
}

impl Law {
    /// Says that the law is broken.
    pub fn broken(&self, found: impl Into<String>) -> Violation {
        Violation {
            law: *self,
            found: found.into(),
        }
    }

    /// Takes the value of a call that the law needs to succeed.
    ///
    /// # Errors
    /// The violation, if the call failed.
    pub fn needs<T, E: fmt::Debug>(&self, call: &str, result: Result<T, E>) -> Verdict<T> {
        result.map_err(|error| self.broken(format!("{call} failed: {error:?}")))
    }

    /// Passes, and says that it does only because `capability` is not declared.
    pub(crate) fn not_declared(&self, capability: &str) -> Verdict {
        println!("not asserted, since {capability} is not declared: {self}");
        Ok(())
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law \"{}\": cf_core::{}", self.name, self.contract)?;
        write!(f, ", «{}»", self.sentence)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is broken: {}", self.law, self.found)
    }
}

/// As [`Display`](fmt::Display), so that an unwrapped verdict reads well.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Violation {}

/// Declares the laws of a suite, each a constant, and `ALL` of them.
macro_rules! laws {
    ($($law:ident = $contract:literal, $name:literal, $sentence:literal;)+) => {
        $(
            #[doc = concat!($name, ".")]
            pub const $law: $crate::Law = $crate::Law {
                name: $name,
                contract: $contract,
                sentence: $sentence,
            };
        )+
        /// All laws of the suite.
        pub const ALL: &[$crate::Law] = &[$($law),+];
    };
}

/// Ends a law with a violation unless something holds.
macro_rules! ensure {
    ($law:expr, $holds:expr, $($found:tt)+) => {
        if !$holds {
            return Err($law.broken(format!($($found)+)));
        }
    };
}

pub(crate) use {ensure, laws};
