//! The end of `cargo test --workspace`: which tests did not run, why, and what to install. Cargo runs packages by name, and the
//! test binaries of a package by name, so this one is the last.

#[path = "../src/not_run.rs"]
mod not_run;

fn main() {
    // A runner that lists tests gets none.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let own = std::env::current_exe().expect("this program is somewhere");
    let target = own.ancestors().nth(2).expect("it is in `target/PROFILE/deps`");
    match not_run::summary(&not_run::by_reason(target)).as_str() {
        "" => println!("\nNo test was left out for want of a tool.\n"),
        summary => println!("\n{summary}"),
    }
}
