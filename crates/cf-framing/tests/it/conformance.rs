//! The laws of [`cf_core::FramingStrategy`].

use cf_framing::Tagged;

cf_testkit::framing_tests!(tagged, || Tagged);
