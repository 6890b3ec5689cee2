//! The conformance suite of [`Store`].

mod atomicity;
pub mod law;
mod model;
mod namespaces;
mod reading;

use std::fmt;
use std::sync::Arc;

use cf_core::Store;

pub use atomicity::{
    a_batch_is_there_whole_or_not_at_all, a_refused_batch_changes_nothing,
    what_was_committed_is_there_when_the_store_is_opened_again,
};
pub use namespaces::{
    a_numbered_namespace_takes_numbers_only, namespaces_are_apart_and_their_keys_opaque,
};
pub use reading::{
    a_scan_goes_in_the_order_of_the_bytes, a_scan_reads_the_part_that_it_names,
    reads_see_all_earlier_commits, the_last_change_of_a_key_counts,
};

use crate::{Given, Subject, UnderTest};

/// Makes one test for each law of [`Store`].
///
/// The factory makes an empty place for a store and gives a closure that opens
/// the store there: calling it again, after the one before was dropped, is what
/// a restart does. A store (a value, a `Box<dyn Store>` or an `Arc<dyn Store>`)
/// will do where nothing outlives it.
///
/// ```
/// # mod mine { pub fn open(_: &()) -> Box<dyn cf_core::Store> { todo!() } pub fn folder() {} }
/// cf_testkit::store_tests!(my_store, || {
///     let folder = mine::folder();
///     move || mine::open(&folder)
/// });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_tests {
    ($name:ident, $factory:expr) => {
        $crate::law_tests! { $name, $factory, [$crate::store],
            a_batch_is_there_whole_or_not_at_all
            a_refused_batch_changes_nothing
            what_was_committed_is_there_when_the_store_is_opened_again
            reads_see_all_earlier_commits
            a_scan_goes_in_the_order_of_the_bytes
            a_scan_reads_the_part_that_it_names
            the_last_change_of_a_key_counts
            namespaces_are_apart_and_their_keys_opaque
            a_numbered_namespace_takes_numbers_only
        }
    };
}

/// An empty place for a store, and how to open the store there.
#[derive(Clone)]
pub struct StoreUnderTest {
    open: Arc<dyn Fn() -> Arc<dyn Store> + Send + Sync>,
}

impl StoreUnderTest {
    /// Tests what `open` opens; it is called again only after the store that it
    /// gave was dropped.
    pub fn new(open: impl Fn() -> Arc<dyn Store> + Send + Sync + 'static) -> Self {
        Self {
            open: Arc::new(open),
        }
    }

    /// Opens the store.
    pub fn open(&self) -> Arc<dyn Store> {
        (self.open)()
    }
}

impl UnderTest for StoreUnderTest {
    type Contract = dyn Store;

    fn of(store: Arc<dyn Store>) -> Self {
        Self::new(move || store.clone())
    }
}

/// A closure that opens a store.
pub struct Opened<Form>(std::marker::PhantomData<Form>);

impl<Form, F, S> Given<StoreUnderTest, Opened<Form>> for F
where
    F: Fn() -> S + Send + Sync + 'static,
    S: Subject<dyn Store, Form>,
{
    fn given(self) -> StoreUnderTest {
        StoreUnderTest::new(move || self().share())
    }
}

impl fmt::Debug for StoreUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreUnderTest")
    }
}
