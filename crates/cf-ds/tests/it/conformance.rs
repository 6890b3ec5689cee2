//! The kit's suite for delivery services.

use cf_ds::MemoryService;

cf_testkit::delivery_service_tests!(memory, || MemoryService::new("kit").unwrap());
