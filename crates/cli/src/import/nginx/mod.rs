//! `nginx.conf` as a configuration: servers and locations become routes that make the same choice.
//!
//! Owns the order of the steps. `syntax` reads the text, `reading` and `upstreams` its meaning into `model`; `choice` is NGINX's
//! choice of a server and a location, `order` the same as conditions of routes; `compile`, `forward` and `redirects` write actions;
//! `samples` and `evaluation` derive tests.

mod choice;
mod compile;
mod directives;
mod evaluation;
mod forward;
mod model;
mod order;
mod patterns;
mod reading;
mod redirects;
mod samples;
mod syntax;
mod text;
mod upstreams;
mod variables;

use anyhow::{Result, bail};

use self::choice::Found;
use self::compile::{Compiler, Outcome, Site};
use self::forward::Backends;
use self::model::{Foreign, Location, Matcher, Model, Server};
use self::reading::at;
pub(crate) use self::syntax::Include;
use super::Imported;
use super::conditions::Atom;
use super::expected::{Answer, Request};
use super::file::{File, Names, Route};
use super::findings::{Findings, Kind};
use super::yaml::Yaml;

/// Most routes of one file.
const MAX_ROUTES: usize = 5000;

/// Imports a file. `nginx` is the URL of the NGINX itself, which gets the requests for parts that are not imported.
///
/// # Errors
///
/// The syntax error, or the reason why there is nothing to import.
pub(crate) fn import(name: &str, text: &str, include: Include<'_>, nginx: Option<&str>) -> Result<Imported> {
    let tree = syntax::parse(name, text, include)?;
    let mut findings = Findings::new(tree.files.clone());
    let model = reading::read(&tree, &mut findings);
    if model.servers.is_empty() {
        bail!("`{name}` has no `server` block\n  hint: name the main file, which includes those with servers");
    }
    let spaces = choice::spaces(&model);
    let mut backends = Backends::default();
    let fallback = nginx.map(|url| {
        let name = backends.names.unique("nginx");
        let keys = [("url", Yaml::text(url)), ("hostHeader", Yaml::text("preserve"))];
        backends.list.push((name.clone(), Yaml::map(keys)));
        name
    });
    let compiler = Compiler { model: &model, findings: &mut findings, backends, fallback };
    let mut writer =
        Writer { compiler, names: Names::default(), routes: Vec::new(), has_several: model.servers.len() > 1 };
    for space in &spaces {
        let scheme: Vec<Atom> = match space.is_http_only {
            true => vec![Atom::Header("x-forwarded-proto".to_owned(), vec![Yaml::text("http")])],
            false => Vec::new(),
        };
        for (host, server) in order::servers(space, writer.compiler.findings) {
            writer.server(server, &[host, scheme.clone()].concat())?;
        }
    }
    let Writer { compiler, mut routes, .. } = writer;
    let backends = compiler.backends.list;
    let mut default = routes.pop().unwrap_or_default();
    default.name = String::new();
    let mut file = File { backends, routes, default, tests: Vec::new() };
    unused(&model, &mut findings);
    // A configuration has a back end, even if all its routes respond by themselves.
    if file.backends.is_empty() {
        file.backends.push(("legacy".to_owned(), Yaml::text("https://legacy.example.com")));
    }
    let mut requests: Vec<(Request, Answer)> = Vec::new();
    for request in samples::requests(&model, &spaces) {
        let answer = evaluation::answer(&model, &spaces, &request);
        // A value that changes nothing proves little.
        let is_plain = request.is_plain();
        if is_plain || evaluation::answer(&model, &spaces, &request.plain()) != answer {
            requests.push((request, answer));
        }
    }
    Ok(Imported { file, findings, requests })
}

/// Variables that no route uses: their cases are not in the file.
fn unused(model: &Model, findings: &mut Findings) {
    let text = |directive: &str, name: &str| format!("{directive} ${name}");
    for (name, variable) in &model.variables {
        let (place, shown) = match variable {
            model::Variable::Map(map) => (map.place, text("map", name)),
            model::Variable::Split(split) => (split.place, text("split_clients", name)),
        };
        if !model.uses(name) {
            findings.add(Kind::NotImported, at(place), &shown, "nothing that is imported uses this variable");
        }
    }
}

struct Writer<'m, 'f> {
    compiler: Compiler<'m, 'f>,
    names: Names,
    routes: Vec<Route>,
    /// Names of routes include that of their server.
    has_several: bool,
}

impl<'m> Writer<'m, '_> {
    fn server(&mut self, server: &'m Server, host: &[Atom]) -> Result<()> {
        let site = Site { server, location: None };
        for outcome in self.compiler.outcomes(site) {
            let is_for_all = outcome.conditions.is_empty();
            self.route(server, "server", host, outcome)?;
            if is_for_all {
                return Ok(());
            }
        }
        let leaves = order::locations(&server.block, self.compiler.findings);
        let slashes = leaves.iter().filter(|(_, found)| matches!(found, Found::Slash(_)));
        let paths: Vec<Yaml> = slashes
            .flat_map(|(atoms, _)| atoms)
            .filter_map(|atom| if let Atom::Path(paths) = atom { Some(paths.clone()) } else { None })
            .flatten()
            .collect();
        if !paths.is_empty() {
            let redirect = [("path", Yaml::template("/#{path}/")), ("status", Yaml::number(301))];
            let outcome = Outcome {
                conditions: vec![Atom::Path(paths)],
                comments: vec!["NGINX adds the slash at the end of these by itself.".to_owned()],
                body: vec![("redirect".to_owned(), Yaml::map(redirect))],
            };
            self.route(server, "slash", host, outcome)?;
        }
        for (conditions, found) in leaves {
            let conditions = [&*conditions, host].concat();
            match found {
                Found::Location(location) => {
                    let name = name(location);
                    for outcome in self.compiler.outcomes(Site { server, location: Some(location) }) {
                        self.route(server, &name, &conditions, outcome)?;
                    }
                }
                // All in one route, before.
                Found::Slash(_) => continue,
                Found::None => {
                    let foreign = Foreign {
                        place: server.place,
                        shown: "server".to_owned(),
                        reason: "paths without a location get files",
                    };
                    let (comments, body) = match &server.block.settings.files {
                        Some(files) => self.compiler.left_out(files),
                        None => self.compiler.left_out(&foreign),
                    };
                    self.route(server, "other", &conditions, Outcome { conditions: Vec::new(), comments, body })?;
                }
            }
            // `location /` leaves nothing for the last entry.
            if conditions.len() == host.len() && matches!(found, Found::Location(_)) {
                break;
            }
        }
        Ok(())
    }

    fn route(&mut self, server: &Server, name: &str, conditions: &[Atom], outcome: Outcome) -> Result<()> {
        if self.routes.len() >= MAX_ROUTES {
            bail!("the file leads to more than {MAX_ROUTES} routes\n  hint: import its servers one by one");
        }
        let site = Site { server, location: None };
        let name = match site.server_name().filter(|_| self.has_several) {
            Some(server) => format!("{server}-{name}"),
            None => name.to_owned(),
        };
        let Outcome { conditions: own, comments, body } = outcome;
        // Groups in an action are those of the first path.
        let conditions = own.into_iter().chain(conditions.iter().cloned()).collect();
        self.routes.push(Route { name: self.names.unique(&name), comments, conditions, body });
        Ok(())
    }
}

/// A name from the path of a location.
fn name(location: &Location) -> String {
    match &location.matcher {
        Matcher::Exact(path) | Matcher::Prefix { path, .. } => path.clone(),
        Matcher::Regex(pattern) => pattern.source.chars().map(|c| if c == '.' { '-' } else { c }).collect(),
    }
}
