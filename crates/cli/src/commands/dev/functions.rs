//! Commands of functions: `--function COMMAND` and `--function NAME=COMMAND`, and which functions need none.
//!
//! Owns parsing these options and their errors. The file with the rules defines the functions, and `handlers` runs those of
//! Node.js and Python.

use std::ffi::OsStr;

use anyhow::{Context, Result, bail, ensure};
use crossfade_emulator::{Function, obstacle, usual_command};

use super::handlers::Launch;
use crate::terminal::say;

/// The name of our own function as a command.
const OWN: &str = "crossfade";

/// The option.
const FUNCTION: &str = "--function";

/// The program that runs a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Crossfade's own function.
    Own,
    /// Program and arguments.
    Of(Vec<String>),
    /// The function's handler.
    Handler(Box<Launch>),
}

impl Command {
    /// Program and arguments, except of our own function.
    pub(super) fn words(&self) -> Option<&[String]> {
        match self {
            Command::Own => None,
            Command::Of(words) => Some(words),
            Command::Handler(launch) => Some(&launch.words),
        }
    }
}

/// One `--function`.
struct Given {
    name: Option<String>,
    command: Command,
}

/// The command of each function. `names` has all names of each function. `launch` runs the handler of a function without a
/// command, if it can.
pub(super) fn commands(
    given: &[String],
    functions: &[Function],
    names: &[Vec<String>],
    launch: impl Fn(&Function, &[String]) -> Option<Launch>,
) -> Result<Vec<Command>> {
    let given: Vec<Given> = given.iter().map(|text| parse(text)).collect::<Result<_>>()?;
    let for_all: Vec<&Given> = given.iter().filter(|given| given.name.is_none()).collect();
    ensure!(
        for_all.len() < 2,
        "`--function` without a name occurs {} times\n  hint: write `--function NAME=COMMAND`",
        for_all.len()
    );
    for Given { name, command } in &given {
        if let Some(name) = name
            && !names.iter().any(|of_one| of_one.contains(name))
        {
            bail!("`--function`: unknown function `{name}`\n  hint: {}", instead(name, command, functions, names));
        }
    }
    let mut commands = Vec::new();
    let (mut missing, mut examples) = (Vec::new(), String::new());
    for (of_one, function) in names.iter().zip(functions) {
        let is_named = |given: &&Given| given.name.as_ref().is_some_and(|name| of_one.contains(name));
        ensure!(
            given.iter().filter(is_named).count() < 2,
            "`--function` names `{}` more than once\n  hint: a function has one command",
            of_one.first().map_or("", |name| name)
        );
        match given.iter().find(is_named).or(for_all.first().copied()) {
            Some(given) => commands.push(given.command.clone()),
            None => match launch(function, of_one) {
                Some(launch) => commands.push(Command::Handler(Box::new(launch))),
                None if names.len() == 1 => commands.push(Command::Own),
                None => {
                    missing.push(of_one.clone());
                    let name = of_one.first().map_or("NAME", |it| it);
                    let command = usual_command(function).unwrap_or("COMMAND");
                    examples += &format!("\n  --function '{name}={command}'");
                }
            },
        }
    }
    if missing.is_empty() {
        return Ok(commands);
    }
    bail!(
        "{} functions and no command for {}\n  hint: name a command for each, or one for all with `--function COMMAND`; `crossfade` runs this proxy, and \
         handlers of Node.js and Python need none{examples}",
        names.len(),
        listed(&missing),
    );
}

/// The option to write instead of one with an unknown name, which may be the variable that a shell would set.
fn instead(name: &str, command: &Command, functions: &[Function], names: &[Vec<String>]) -> String {
    let Some(words) = command.words() else { return format!("the functions are {}", listed(names)) };
    let is_variable = |name: &str| !name.contains(|c: char| c.is_ascii_lowercase() || c == '-');
    if is_variable(name)
        && let [value, rest @ ..] = words
        && !rest.is_empty()
    {
        let is_setting = |word: &&String| word.split_once('=').is_some_and(|(name, _)| is_variable(name));
        let further: Vec<String> = rest.iter().take_while(is_setting).cloned().collect();
        let program = shell_words::join(rest.get(further.len()..).unwrap_or_default());
        let settings: Vec<String> = [format!("{name}={value}")].into_iter().chain(further).collect();
        let settings: String = settings
            .iter()
            .filter_map(|it| it.split_once('='))
            .map(|(name, value)| format!("--env {name}={} ", shell_words::quote(value)))
            .collect();
        return format!("for an environment variable, write `{settings}--function {}`", quoted(&program));
    }
    match functions {
        // Without a file.
        [Function { runtime: None, name, .. }] if name == "local" => {
            format!("there is one function, which needs no name: `--function {}`", quoted(&shell_words::join(words)))
        }
        _ => format!("the file defines {}", listed(names)),
    }
}

/// A command as one word of a shell, with quotes even where it needs none.
fn quoted(command: &str) -> String {
    match shell_words::quote(command) {
        quoted if quoted == command => format!("'{command}'"),
        quoted => quoted.into_owned(),
    }
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
    let command = if command.trim() == OWN { Command::Own } else { Command::Of(split(FUNCTION, command)?) };
    Ok(Given { name, command })
}

/// Splits a command into words as a shell does; it runs without a shell.
pub(super) fn split(option: &str, command: &str) -> Result<Vec<String>> {
    let words = shell_words::split(command).with_context(|| format!("`{option}`: invalid quoting in `{command}`"))?;
    ensure!(!words.is_empty(), "`{option}` is empty");
    Ok(words)
}

/// Checks that the commands of a function can be started in its folder, with this `PATH`.
///
/// # Errors
///
/// The first reason why one cannot.
pub(super) fn check(function: &Function, command: &Command, path: Option<&OsStr>) -> Result<()> {
    // That of a handler has been found already.
    let commands = [(FUNCTION, &function.command)].into_iter().filter(|_| !matches!(command, Command::Handler(_)));
    for (option, command) in commands.chain(function.extensions.iter().map(|command| ("--extension", command))) {
        warnings(option, command).iter().for_each(|warning| say(&format!("warning: {warning}")));
        if let Some(obstacle) = obstacle(command, function.directory.as_deref(), path) {
            bail!("`{option}`: {obstacle}\n  hint: name a program and its arguments; no shell interprets them");
        }
    }
    Ok(())
}

/// Warnings about words of a command that only a shell would interpret, and about misspelt placeholders.
fn warnings(option: &str, command: &[String]) -> Vec<String> {
    const OPERATORS: [&str; 11] = ["&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1", "<<"];
    let operator = command.iter().find(|word| OPERATORS.contains(&word.as_str()));
    let of_shell = operator.map(|word| {
        format!(
            "`{option}`: no shell interprets `{word}`, the program gets it as an argument\n  hint: write `{option} \"sh -c '...'\"`"
        )
    });
    let placeholder = command.iter().find_map(|word| misspelt_port(word)).map(|found| {
        format!("`{option}`: `{found}` stays as it is\n  hint: `{{port}}` is a free port of each environment")
    });
    of_shell.into_iter().chain(placeholder).collect()
}

/// Finds a placeholder that is almost `{port}`, such as `{PORT}`, `{ port }` and `{prot}`.
fn misspelt_port(text: &str) -> Option<&str> {
    text.match_indices('{').find_map(|(start, _)| {
        let placeholder = text.get(start..)?.split_inclusive('}').next().filter(|it| it.ends_with('}'))?;
        let name = placeholder.trim_matches(['{', '}']);
        let mut letters: Vec<char> = name.trim().to_ascii_lowercase().chars().collect();
        letters.sort_unstable();
        let is_of_shell = text.get(..start)?.ends_with('$');
        (letters == ['o', 'p', 'r', 't'] && name != "port" && !is_of_shell).then_some(placeholder)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_as_a_shell_does_and_run_without_one() {
        assert_eq!(split(FUNCTION, "sh -c 'echo \"a b\"' x\\ y").unwrap(), ["sh", "-c", "echo \"a b\"", "x y"]);
        for bad in ["", "  ", "sh 'open"] {
            assert!(split(FUNCTION, bad).is_err(), "{bad}");
        }
    }

    fn given(given: &[&str], names: &[&[&str]]) -> Result<Vec<String>> {
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        let names: Vec<Vec<String>> =
            names.iter().map(|of_one| of_one.iter().map(ToString::to_string).collect()).collect();
        let shown = |command: Command| match command {
            Command::Own => "own".to_owned(),
            command => command.words().unwrap_or_default().join(" "),
        };
        let functions: Vec<Function> = names
            .iter()
            .map(|of_one| Function {
                runtime: Some("provided.al2023".to_owned()),
                ..Function::new(&of_one[0], Vec::new())
            })
            .collect();
        let launch = |_: &Function, names: &[String]| {
            let words = vec!["node".to_owned(), "client".to_owned()];
            names.contains(&"handler".to_owned()).then(|| Launch { words, ..Launch::default() })
        };
        Ok(commands(&given, &functions, &names, launch)?.into_iter().map(shown).collect())
    }

    #[test]
    fn names_choose_and_the_rest_gets_what_has_no_name() {
        let two: &[&[&str]] = &[&["web", "shop-dev-web"], &["api"]];
        assert_eq!(given(&["shop-dev-web=sh a", "sh b"], two).unwrap(), ["sh a", "sh b"]);
        assert_eq!(given(&["web=crossfade", "api=sh b"], two).unwrap(), ["own", "sh b"]);
        assert_eq!(given(&["env A=b sh"], two).unwrap(), ["env A=b sh", "env A=b sh"]);
        assert_eq!(given(&[], &[&["web"]]).unwrap(), ["own"]);
        let told = given(&["web=sh"], two).unwrap_err().to_string();
        assert!(told.contains("no command for `api`") && told.contains("--function 'api=./bootstrap'"), "{told}");
        assert_eq!(given(&["web=sh"], &[&["web"], &["handler"]]).unwrap(), ["sh", "node client"]);
        assert_eq!(given(&["handler=sh"], &[&["handler"]]).unwrap(), ["sh"]);
        assert_eq!(given(&[], &[&["handler"]]).unwrap(), ["node client"]);
        let told = given(&[], two).unwrap_err().to_string();
        assert!(told.contains("2 functions and no command for `web` and `api`"), "{told}");
        assert!(given(&["nope=sh"], two).unwrap_err().to_string().contains("the file defines `web` and `api`"));
        assert!(given(&["sh a", "sh b"], two).is_err());
        let told = given(&["web=sh a", "shop-dev-web=sh b", "api=sh c"], two).unwrap_err().to_string();
        assert!(told.starts_with("`--function` names `web` more than once"), "{told}");
    }

    #[test]
    fn a_name_that_is_none_gets_the_option_that_was_meant() {
        let names = [vec!["local".to_owned()]];
        let told = |text: &str| {
            let local = [Function::new("local", Vec::new())];
            commands(&[text.to_owned()], &local, &names, |_, _| None).unwrap_err().to_string()
        };
        for (text, expected) in [
            ("PORT=3000 ./f.sh", "`--env PORT=3000 --function './f.sh'`"),
            ("A=1 B=2 sh f.sh x", "`--env A=1 --env B=2 --function 'sh f.sh x'`"),
            ("web=./f.sh", "there is one function, which needs no name: `--function './f.sh'`"),
        ] {
            assert!(told(text).ends_with(expected), "{text}: {}", told(text));
        }
    }

    #[test]
    fn words_for_a_shell_and_misspelt_placeholders_are_told() {
        let told = |command: &str| warnings(FUNCTION, &split(FUNCTION, command).unwrap()).concat();
        for (command, expected) in [
            ("a && b", "no shell interprets `&&`"),
            ("a > out", "no shell interprets `>`"),
            ("a --port={PORT}", "`{PORT}` stays as it is"),
            ("a '{ port }'", "`{ port }` stays as it is"),
            ("a {prot}", "`{prot}` stays as it is"),
        ] {
            assert!(told(command).contains(expected), "{command}: {}", told(command));
        }
        for command in ["sh -c 'a && b'", "a {port} {port:x} {{port}} ${PORT} {a}"] {
            assert_eq!(told(command), "", "{command}");
        }
    }
}
