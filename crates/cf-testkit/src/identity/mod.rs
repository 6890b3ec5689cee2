//! The conformance suite of [`Identity`].

mod agreement;
pub mod law;
mod named;
mod signature;

use std::fmt;
use std::sync::Arc;

use cf_core::{Identity, Timestamp};

pub use agreement::{
    a_certificate_holds_for_its_owner_key_and_time_only, a_certified_key_agrees_until_it_expires,
    a_certified_key_is_valid_for_at_most_90_days, a_key_of_another_identity_is_misuse,
    a_key_without_contribution_is_refused, both_sides_agree_on_one_secret_that_others_do_not_have,
};
pub use named::NamedIdentity;
pub use signature::{
    a_label_holds_no_zero_byte, a_signature_holds_for_what_was_signed_and_nothing_else,
};

use crate::{Given, Subject};

/// Makes one test for each law of [`Identity`].
///
/// The factory gives a closure that makes the identity of a number, of one
/// scheme: a value, a `Box<dyn Identity>` or an `Arc<dyn Identity>`.
///
/// ```
/// # mod mine { pub fn identity(_: u64) -> Box<dyn cf_core::Identity> { todo!() } }
/// cf_testkit::identity_tests!(my_identity, || |number| mine::identity(number));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! identity_tests {
    ($name:ident, $factory:expr) => {
        $crate::law_tests! { $name, $factory, [$crate::identity],
            a_signature_holds_for_what_was_signed_and_nothing_else
            a_label_holds_no_zero_byte
            both_sides_agree_on_one_secret_that_others_do_not_have
            a_key_without_contribution_is_refused
            a_key_of_another_identity_is_misuse
            a_certificate_holds_for_its_owner_key_and_time_only
            a_certified_key_is_valid_for_at_most_90_days
            a_certified_key_agrees_until_it_expires
        }
    };
}

/// When the tests take place: late in 2025.
const NOW: Timestamp = Timestamp(1_765_000_000_000);

/// Identities of one scheme.
pub struct IdentitiesUnderTest {
    saro: Arc<dyn Identity>,
    raya: Arc<dyn Identity>,
    oscar: Arc<dyn Identity>,
}

/// A closure that makes the identity of a number.
pub struct Numbered<Form>(std::marker::PhantomData<Form>);

impl<Form, F, I> Given<IdentitiesUnderTest, Numbered<Form>> for F
where
    F: Fn(u64) -> I,
    I: Subject<dyn Identity, Form>,
{
    fn given(self) -> IdentitiesUnderTest {
        let [saro, raya, oscar] = [1, 2, 3].map(|number| self(number).share());
        IdentitiesUnderTest { saro, raya, oscar }
    }
}

impl fmt::Debug for IdentitiesUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentitiesUnderTest({})", self.saro.scheme())
    }
}
