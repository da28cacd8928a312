//! The tests of the function that need programs which do not come with Rust. Each is listed with them (`crossfade_testkit::tools`).

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod moto;
mod support;

use std::process::ExitCode;

use crossfade_testkit::moto::MOTO;
use crossfade_testkit::tests;
use crossfade_testkit::tools;

fn main() -> ExitCode {
    tools::run(tests! {
        [MOTO] moto::an_object_is_read_and_an_alarm_writes_it;
        [MOTO] moto::a_parameter_is_read_and_an_alarm_writes_it;
    })
}
