//! `crossfade_fuzz_targets::content` on what libFuzzer thinks of.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| crossfade_fuzz_targets::content(data));
