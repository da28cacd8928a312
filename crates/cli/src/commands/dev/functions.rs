//! Commands of functions: `--function COMMAND` and `--function NAME=COMMAND`.
//!
//! Owns parsing these options and their errors. The file with the rules defines the functions.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// The name of our own function as a command.
const OWN: &str = "crossfade";

/// The program that runs a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Crossfade's own function.
    Own,
    /// Program and arguments.
    Of(Vec<String>),
}

/// One `--function`.
struct Given {
    name: Option<String>,
    command: Command,
}

/// The command of each function. `names` has all names of each function.
pub(super) fn commands(given: &[String], names: &[Vec<String>]) -> Result<Vec<Command>> {
    let given: Vec<Given> = given.iter().map(|text| parse(text)).collect::<Result<_>>()?;
    let for_all: Vec<&Given> = given.iter().filter(|given| given.name.is_none()).collect();
    ensure!(
        for_all.len() < 2,
        "`--function` without a name occurs {} times\n  hint: write `--function NAME=COMMAND`",
        for_all.len()
    );
    for Given { name, .. } in &given {
        if let Some(name) = name
            && !names.iter().any(|of_one| of_one.contains(name))
        {
            bail!("`--function`: unknown function `{name}`\n  hint: the file defines {}", listed(names));
        }
    }
    let mut commands = Vec::new();
    let mut missing = Vec::new();
    for of_one in names {
        let named = given.iter().rev().find(|given| given.name.as_ref().is_some_and(|name| of_one.contains(name)));
        match named.or(for_all.first().copied()) {
            Some(given) => commands.push(given.command.clone()),
            None if names.len() == 1 => commands.push(Command::Own),
            None => missing.push(of_one.clone()),
        }
    }
    if missing.is_empty() {
        return Ok(commands);
    }
    let examples: Vec<String> = missing
        .iter()
        .map(|of_one| format!("  --function '{}=node handler.js'", of_one.first().map_or("NAME", |it| it)))
        .collect();
    bail!(
        "{} functions and no command for {}\n  hint: name a command for each, or one for all with `--function COMMAND`; `crossfade` runs this proxy\n{}",
        names.len(),
        listed(&missing),
        examples.join("\n")
    );
}

/// A list of the first name of each.
fn listed(names: &[Vec<String>]) -> String {
    let first: Vec<String> = names.iter().filter_map(|of_one| Some(format!("`{}`", of_one.first()?))).collect();
    match &first[..] {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        _ => first.concat(),
    }
}

/// Splits `NAME=COMMAND`. A name contains no character that is common at the start of a command.
fn parse(text: &str) -> Result<Given> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let (name, command) = match text.split_once('=') {
        Some((name, command)) if is_name(name) => (Some(name.to_owned()), command),
        _ => (None, text),
    };
    let command = if command.trim() == OWN { Command::Own } else { Command::Of(split(command)?) };
    Ok(Given { name, command })
}

/// Splits a command into words as a shell does; it runs without a shell.
pub(super) fn split(command: &str) -> Result<Vec<String>> {
    let words = shell_words::split(command).with_context(|| format!("`--function`: invalid quoting in `{command}`"))?;
    let Some(program) = words.first() else { bail!("`--function` is empty") };
    ensure!(
        is_program(Path::new(program), std::env::var_os("PATH").as_deref()),
        "`--function`: cannot find the program `{program}`\n  hint: name a program and its arguments; no shell interprets them"
    );
    Ok(words)
}

/// Finds a program as `execvp` does: a path as it is, a bare name in `PATH`.
fn is_program(program: &Path, path: Option<&OsStr>) -> bool {
    if program.components().count() > 1 || program.is_absolute() {
        return program.is_file();
    }
    path.is_some_and(|path| std::env::split_paths(path).any(|folder| folder.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_file_or_in_the_path() {
        let path = std::env::join_paths(["/nowhere", "/bin"]).unwrap();
        assert!(is_program(Path::new("sh"), Some(&path)));
        assert!(is_program(Path::new("/bin/sh"), None));
        assert!(!is_program(Path::new("sh"), Some(OsStr::new("/nowhere"))));
        assert!(!is_program(Path::new("./sh"), Some(&path)));
        assert!(!is_program(Path::new("/bin"), None));
    }

    #[test]
    fn a_command_is_split_as_a_shell_does_and_run_without_one() {
        assert_eq!(split("sh -c 'echo \"a b\"' x\\ y").unwrap(), ["sh", "-c", "echo \"a b\"", "x y"]);
        for bad in ["", "  ", "sh 'open", "no-such-program-here --x"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    fn given(given: &[&str], names: &[&[&str]]) -> Result<Vec<String>> {
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        let names: Vec<Vec<String>> =
            names.iter().map(|of_one| of_one.iter().map(ToString::to_string).collect()).collect();
        let shown = |command: Command| match command {
            Command::Own => "own".to_owned(),
            Command::Of(words) => words.join(" "),
        };
        Ok(commands(&given, &names)?.into_iter().map(shown).collect())
    }

    #[test]
    fn names_choose_and_the_rest_gets_what_has_no_name() {
        let two: &[&[&str]] = &[&["web", "shop-dev-web"], &["api"]];
        assert_eq!(given(&["shop-dev-web=sh a", "sh b"], two).unwrap(), ["sh a", "sh b"]);
        assert_eq!(given(&["web=crossfade", "api=sh b"], two).unwrap(), ["own", "sh b"]);
        assert_eq!(given(&["env A=b sh"], two).unwrap(), ["env A=b sh", "env A=b sh"]);
        assert_eq!(given(&[], &[&["web"]]).unwrap(), ["own"]);
        let told = given(&["web=sh"], two).unwrap_err().to_string();
        assert!(told.contains("no command for `api`") && told.contains("--function 'api=node handler.js'"), "{told}");
        let told = given(&[], two).unwrap_err().to_string();
        assert!(told.contains("2 functions and no command for `web` and `api`"), "{told}");
        assert!(given(&["nope=sh"], two).unwrap_err().to_string().contains("the file defines `web` and `api`"));
        assert!(given(&["sh a", "sh b"], two).is_err());
    }
}
