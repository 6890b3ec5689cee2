use std::sync::Arc;

use cf_core::{
    BoxFuture, ConversationProtocol, DeliveryService, DiscoveryProtocol, FramingStrategy, Identity,
    InitializationProtocol, Store,
};

/// An implementation as a factory may give it: a value, a `Box<dyn D>` or an
/// `Arc<dyn D>`. The form is inferred.
pub trait Subject<D: ?Sized, Form> {
    /// The implementation, shared.
    fn share(self) -> Arc<D>;
}

/// A value of a type that implements the contract.
pub struct Value;
/// A boxed trait object.
pub struct Boxed;
/// A shared trait object.
pub struct Shared;

macro_rules! subject {
    ($($contract:ident),+) => {$(
        impl<T: $contract + 'static> Subject<dyn $contract, Value> for T {
            fn share(self) -> Arc<dyn $contract> {
                Arc::new(self)
            }
        }
        impl Subject<dyn $contract, Boxed> for Box<dyn $contract> {
            fn share(self) -> Arc<dyn $contract> {
                self.into()
            }
        }
        impl Subject<dyn $contract, Shared> for Arc<dyn $contract> {
            fn share(self) -> Self {
                self
            }
        }
    )+};
}

subject!(
    ConversationProtocol,
    DeliveryService,
    DiscoveryProtocol,
    FramingStrategy,
    Identity,
    InitializationProtocol,
    Store
);

/// What a suite runs on: an implementation and what the suite needs beside it.
pub trait UnderTest: Sized + Send + 'static {
    /// The contract, a trait object.
    type Contract: ?Sized;

    /// The implementation alone, everything beside it as usual.
    fn of(subject: Arc<Self::Contract>) -> Self;
}

/// What a factory may give to a suite: the implementation alone, or all that
/// the suite runs on. The form is inferred.
pub trait Given<B, Form> {
    /// What the suite runs on.
    fn given(self) -> B;
}

/// The implementation alone.
pub struct Alone<Form>(std::marker::PhantomData<Form>);
/// All that the suite runs on.
pub struct Whole;

impl<B: UnderTest, Form, T: Subject<B::Contract, Form>> Given<B, Alone<Form>> for T {
    fn given(self) -> B {
        B::of(self.share())
    }
}

impl<B: UnderTest> Given<B, Whole> for B {
    fn given(self) -> B {
        self
    }
}

/// What a factory may give to an asynchronous suite: as [`Given`], or a future
/// of it. The form is inferred.
pub trait GivenLater<B, Form> {
    /// What the suite runs on.
    fn given_later(self) -> BoxFuture<'static, B>;
}

/// At once.
pub struct Now<Form>(std::marker::PhantomData<Form>);
/// When a future is ready.
pub struct Later<Form>(std::marker::PhantomData<Form>);

impl<B: Send + 'static, Form, T: Given<B, Form>> GivenLater<B, Now<Form>> for T {
    fn given_later(self) -> BoxFuture<'static, B> {
        Box::pin(std::future::ready(self.given()))
    }
}

impl<B, Form, F> GivenLater<B, Later<Form>> for F
where
    B: Send + 'static,
    F: Future<Output: Given<B, Form>> + Send + 'static,
{
    fn given_later(self) -> BoxFuture<'static, B> {
        Box::pin(async { self.await.given() })
    }
}
