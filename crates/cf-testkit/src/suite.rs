//! What the macros of the suites expand to.

use crate::subject::{Given, GivenLater, UnderTest};
use crate::{Verdict, Violation};

/// What the factory of a suite gives.
pub fn given<B, Form, T: Given<B, Form>>(made: T) -> B {
    made.given()
}

/// Runs an asynchronous law on what the factory gives, on a runtime of its own.
///
/// # Errors
/// The law's.
pub fn run<B, Form, T, L>(factory: impl FnOnce() -> T, law: impl FnOnce(B) -> L) -> Verdict
where
    B: UnderTest,
    T: GivenLater<B, Form>,
    L: Future<Output = Verdict>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the system has threads for a runtime");
    runtime.block_on(async { law(factory().given_later().await).await })
}

/// Ends a test with what was found.
///
/// # Panics
/// If the law is broken.
pub fn pass(verdict: Verdict) {
    if let Err(violation) = verdict {
        fail(&violation);
    }
}

fn fail(violation: &Violation) -> ! {
    panic!("{violation}")
}

/// One test for each law of an asynchronous suite.
#[doc(hidden)]
#[macro_export]
macro_rules! async_law_tests {
    ($name:ident, $factory:expr, [$($suite:tt)+], $($law:ident)+) => {
        // A factory reads best as a closure, also where a function would do.
        #[allow(clippy::redundant_closure, clippy::redundant_closure_call)]
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use $($suite)+ as laws;
            $(
                #[test]
                fn $law() {
                    $crate::suite::pass($crate::suite::run($factory, laws::$law));
                }
            )+
        }
    };
}

/// One test for each law of a synchronous suite.
#[doc(hidden)]
#[macro_export]
macro_rules! law_tests {
    ($name:ident, $factory:expr, [$($suite:tt)+], $($law:ident)+) => {
        // A factory reads best as a closure, also where a function would do.
        #[allow(clippy::redundant_closure, clippy::redundant_closure_call)]
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use $($suite)+ as laws;
            $(
                #[test]
                fn $law() {
                    let made = $crate::suite::given(($factory)());
                    $crate::suite::pass(laws::$law(made));
                }
            )+
        }
    };
}
