//! The binary `bootstrap`, as Lambda's OS-only runtimes start it. Everything is in the library.

fn main() -> std::process::ExitCode {
    crossfade_function::main()
}
