//! The laws of [`cf_core::FramingStrategy`].

use cf_framing::{Tagged, Wap};

cf_testkit::framing_tests!(tagged, || Tagged);
cf_testkit::framing_tests!(wap, || Wap);
