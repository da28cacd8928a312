//! Commands of functions: `--function COMMAND` and `--function NAME=COMMAND`.
//!
//! Owns parsing these options and their errors. The file with the rules defines the functions.

use std::ffi::OsStr;

use anyhow::{Context, Result, bail, ensure};
use crossfade_emulator::{Function, obstacle, usual_command};

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
pub(super) fn commands(given: &[String], functions: &[Function], names: &[Vec<String>]) -> Result<Vec<Command>> {
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
    let (mut missing, mut examples) = (Vec::new(), String::new());
    for (of_one, function) in names.iter().zip(functions) {
        let named = given.iter().rev().find(|given| given.name.as_ref().is_some_and(|name| of_one.contains(name)));
        match named.or(for_all.first().copied()) {
            Some(given) => commands.push(given.command.clone()),
            None if names.len() == 1 => commands.push(Command::Own),
            None => {
                missing.push(of_one.clone());
                let name = of_one.first().map_or("NAME", |it| it);
                let command = usual_command(function).unwrap_or_else(|| "COMMAND".to_owned());
                examples += &format!("\n  --function '{name}={command}'");
            }
        }
    }
    if missing.is_empty() {
        return Ok(commands);
    }
    bail!(
        "{} functions and no command for {}\n  hint: name a command for each, or one for all with `--function COMMAND`; `crossfade` runs this proxy{examples}",
        names.len(),
        listed(&missing),
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
    ensure!(!words.is_empty(), "`--function` is empty");
    Ok(words)
}

/// Checks that the commands of a function can be started in its folder, with this `PATH`.
///
/// # Errors
///
/// The first reason why one cannot.
pub(super) fn check(function: &Function, path: Option<&OsStr>) -> Result<()> {
    let commands = [("--function", &function.command)].into_iter();
    for (option, command) in commands.chain(function.extensions.iter().map(|command| ("--extension", command))) {
        if let Some(obstacle) = obstacle(command, function.directory.as_deref(), path) {
            bail!(
                "`{option} '{}'`: {obstacle}\n  hint: name a program and its arguments; no shell interprets them",
                shell_words::join(command)
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_as_a_shell_does_and_run_without_one() {
        assert_eq!(split("sh -c 'echo \"a b\"' x\\ y").unwrap(), ["sh", "-c", "echo \"a b\"", "x y"]);
        for bad in ["", "  ", "sh 'open"] {
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
        let functions: Vec<Function> = names
            .iter()
            .map(|of_one| Function {
                runtime: Some("nodejs22.x".to_owned()),
                handler: format!("{}.handler", of_one[0]),
                ..Function::new(&of_one[0], Vec::new())
            })
            .collect();
        Ok(commands(&given, &functions, &names)?.into_iter().map(shown).collect())
    }

    #[test]
    fn names_choose_and_the_rest_gets_what_has_no_name() {
        let two: &[&[&str]] = &[&["web", "shop-dev-web"], &["api"]];
        assert_eq!(given(&["shop-dev-web=sh a", "sh b"], two).unwrap(), ["sh a", "sh b"]);
        assert_eq!(given(&["web=crossfade", "api=sh b"], two).unwrap(), ["own", "sh b"]);
        assert_eq!(given(&["env A=b sh"], two).unwrap(), ["env A=b sh", "env A=b sh"]);
        assert_eq!(given(&[], &[&["web"]]).unwrap(), ["own"]);
        let told = given(&["web=sh"], two).unwrap_err().to_string();
        assert!(
            told.contains("no command for `api`") && told.contains("--function 'api=npx aws-lambda-ric api.handler'"),
            "{told}"
        );
        let told = given(&[], two).unwrap_err().to_string();
        assert!(told.contains("2 functions and no command for `web` and `api`"), "{told}");
        assert!(given(&["nope=sh"], two).unwrap_err().to_string().contains("the file defines `web` and `api`"));
        assert!(given(&["sh a", "sh b"], two).is_err());
    }
}
