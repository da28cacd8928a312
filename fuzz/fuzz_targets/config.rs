//! Any text as a configuration: no panic, and every mistake can be shown.
#![no_main]

use crossfade_route::RoutingTable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(diagnostics) = RoutingTable::from_config(text, "fuzz.yaml") {
        assert!(!diagnostics.to_string().is_empty());
    }
    let _ = RoutingTable::from_backend_url(text, "fuzz");
});
