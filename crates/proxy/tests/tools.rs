//! The tests of the proxy that need programs which do not come with Rust. Each is listed with them (`crossfade_testkit::tools`).

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod real_servers;
mod support;

use std::process::ExitCode;

use crossfade_testkit::tests;
use crossfade_testkit::tools::{self, OPENSSL, PYTHON};

fn main() -> ExitCode {
    tools::run(tests! {
        [OPENSSL] real_servers::unsupported_tls_is_named_with_what_to_do.await;
        [OPENSSL] real_servers::a_self_signed_certificate_is_trusted_where_it_is_named.await;
        [OPENSSL, PYTHON] real_servers::content_that_ends_with_its_connection_alone_is_complete_only_where_the_configuration_says_so.await;
    })
}
