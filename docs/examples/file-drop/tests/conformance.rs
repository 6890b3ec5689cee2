//! The contract's laws, each as a test.

use std::sync::Arc;

use ::file_drop::FileDrop;
use cf_testkit::DeliveryUnderTest;

cf_testkit::delivery_service_tests!(file_drop, || {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Arc::new(FileDrop::open(folder.path(), "test").expect("a valid name"));
    DeliveryUnderTest::new(open()).beside(open()).keeping(folder)
});
