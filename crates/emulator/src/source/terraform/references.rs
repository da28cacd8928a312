//! References of expressions of the configuration, for values that only `terraform apply` knows. A plan names the references of
//! each expression (Terraform, "JSON Output Format", expression representation), through variables and outputs of modules. It
//! does not have local values; there, the only resource of the kind is taken.

use std::collections::{BTreeMap, BTreeSet};

use super::super::node::Node;
use super::Resource;

/// The most steps from one reference to the next: variables and outputs of nested modules.
const MAX_STEPS: usize = 200;

/// The place of an expression: the address of its module, the key of its resource or call, and what `for_each` iterates over.
#[derive(Clone)]
struct Scope<'d> {
    module: String,
    key: Option<String>,
    each: Option<&'d Node>,
}

/// The configuration, by module and address.
pub(super) struct References<'d> {
    /// The calls, outputs and resources of each module, by the names of the modules above it: `a.b`.
    modules: BTreeMap<String, &'d Node>,
    /// Each resource as it is configured, by its module and address without keys.
    configured: BTreeMap<(String, String), &'d Node>,
    /// The instances of each resource, by the full address of its module and its own.
    instances: BTreeMap<(String, String), Vec<usize>>,
    /// For each kind, its only resource if there is one.
    only: BTreeMap<String, Option<usize>>,
}

impl<'d> References<'d> {
    pub(super) fn new(root: Option<&'d Node>, resources: &[Resource]) -> Self {
        let (mut modules, mut configured) = (BTreeMap::new(), BTreeMap::new());
        let mut open: Vec<(String, &'d Node)> = root.map(|root| (String::new(), root)).into_iter().collect();
        while let Some((path, module)) = open.pop() {
            for resource in module.get("resources").map_or(&[][..], Node::items) {
                if let Some(address) = resource.get("address").and_then(Node::as_text) {
                    configured.insert((path.clone(), address.replacen("aws_alb", "aws_lb", 1)), resource);
                }
            }
            for (key, call) in module.get("module_calls").map_or(&[][..], Node::members) {
                if let Some(called) = call.get("module") {
                    open.push((below(&path, &key.name), called));
                }
            }
            modules.insert(path, module);
        }
        let mut instances: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        let mut only = BTreeMap::new();
        for (resource, index) in resources.iter().zip(0..) {
            if !resource.is_data {
                only.entry(resource.kind.clone()).and_modify(|only| *only = None).or_insert(Some(index));
            }
            let data = if resource.is_data { "data." } else { "" };
            let own = format!("{data}{}.{}", resource.kind, resource.name);
            instances.entry((resource.module.clone(), own)).or_default().push(index);
        }
        References { modules, configured, instances, only }
    }

    /// Returns the resource of this kind that the expression at a path of a resource refers to; if the expression leads nowhere,
    /// the only one of the kind.
    pub(super) fn resolve(
        &self,
        resource: &Resource,
        path: &[&str],
        resources: &[Resource],
        kind: &str,
    ) -> Option<usize> {
        let names = self.names(resource, path).unwrap_or_default();
        let each = self.configured(resource).and_then(|it| it.get("for_each_expression"));
        let scope = Scope { module: resource.module.clone(), key: resource.index.clone(), each };
        let mut steps = MAX_STEPS;
        let found = self.follow(&names, &scope, kind, resources, &mut steps);
        if found.is_some() || names_another_resource(&names, kind) {
            return found;
        }
        self.only.get(kind).copied().flatten()
    }

    /// Returns a name for what an expression refers to, and whether it is a choice of several resources of the kind: their
    /// addresses, or else the text of its first reference.
    pub(super) fn written(&self, resource: &Resource, path: &[&str], kind: &str) -> (String, bool) {
        let names = self.names(resource, path).unwrap_or_default();
        let mut addresses: Vec<String> = Vec::new();
        for name in names.iter().take(MAX_STEPS).filter(|name| !is_repeated(name, &names)) {
            let parts = parts(name);
            let length = if parts.first() == Some(&"data") { 3 } else { 2 };
            let Some([.., of_kind, _]) = parts.get(..length) else { continue };
            let address = parts.get(..length).unwrap_or_default().join(".");
            if of_kind.replacen("aws_alb", "aws_lb", 1) == kind && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match (&addresses[..], names.first()) {
            ([], Some(first)) => ((*first).to_owned(), false),
            ([], None) => (format!("{} of {}", path.join("."), resource.address), false),
            _ => (addresses.join(" or "), addresses.len() > 1),
        }
    }

    fn configured(&self, resource: &Resource) -> Option<&'d Node> {
        let data = if resource.is_data { "data." } else { "" };
        let key = (names_of(&resource.module), format!("{data}{}.{}", resource.kind, resource.name));
        self.configured.get(&key).copied()
    }

    /// Returns the expression at a path of a resource: names of attributes and blocks, and numbers of blocks.
    pub(super) fn expression(&self, resource: &Resource, path: &[&str]) -> Option<&'d Node> {
        let mut node = self.configured(resource)?.get("expressions")?;
        for step in path {
            node = match step.parse::<usize>() {
                // A block that is generated is not among the expressions, so that numbers may differ.
                Ok(number) => node.items().get(number).or_else(|| node.items().last())?,
                Err(_) => node.get(step)?,
            };
        }
        Some(node)
    }

    fn names(&self, resource: &Resource, path: &[&str]) -> Option<Vec<&'d str>> {
        self.expression(resource, path).map(references)
    }

    /// Follows references until one is an instance of a resource of this kind.
    fn follow(
        &self,
        names: &[&'d str],
        scope: &Scope<'d>,
        kind: &str,
        resources: &[Resource],
        steps: &mut usize,
    ) -> Option<usize> {
        // An expression that chooses between two does not say which one it takes.
        let mut found = BTreeSet::new();
        for name in names {
            *steps = steps.checked_sub(1)?;
            let parts = parts(name);
            let next = match parts[..] {
                ["var", variable, ..] => self.argument(&scope.module, variable),
                ["module", call, output, ..] => self.output(&scope.module, call, output),
                ["each", "value", ..] => scope.each.map(|each| (each, Scope { each: None, ..scope.clone() })),
                _ if is_repeated(name, names) => None,
                ["data", of_kind, own, ..] => {
                    found.extend(self.instance(scope, "data.", (of_kind, own), kind, resources));
                    None
                }
                [of_kind, own, ..] => {
                    found.extend(self.instance(scope, "", (of_kind, own), kind, resources));
                    None
                }
                _ => None,
            };
            if let Some((expression, scope)) = next {
                found.extend(self.follow(&references(expression), &scope, kind, resources, steps));
            }
        }
        if found.len() == 1 { found.pop_first() } else { None }
    }

    /// Returns the expression for a variable in the call of a module.
    fn argument(&self, module: &str, variable: &str) -> Option<(&'d Node, Scope<'d>)> {
        let (above, call) = parent(module)?;
        let (called, key) = with_key(&call);
        let call = self.modules.get(&names_of(&above))?.at(&["module_calls", called])?;
        let expression = call.at(&["expressions", variable])?;
        let scope = Scope { module: above, key: key.map(str::to_owned), each: call.get("for_each_expression") };
        Some((expression, scope))
    }

    /// Returns the expression of a module's output.
    fn output(&self, module: &str, call: &str, output: &str) -> Option<(&'d Node, Scope<'d>)> {
        let dot = if module.is_empty() { "" } else { "." };
        let called = self.modules.get(&below(&names_of(module), with_key(call).0))?;
        let expression = called.at(&["outputs", output, "expression"])?;
        Some((expression, Scope { module: format!("{module}{dot}module.{call}"), key: None, each: None }))
    }

    fn instance(
        &self,
        scope: &Scope<'d>,
        data: &str,
        (of_kind, own): (&str, &str),
        kind: &str,
        resources: &[Resource],
    ) -> Option<usize> {
        let of_kind = of_kind.replacen("aws_alb", "aws_lb", 1);
        if of_kind != kind {
            return None;
        }
        let (own, key) = with_key(own);
        let all = self.instances.get(&(scope.module.clone(), format!("{data}{of_kind}.{own}")))?;
        let with = |wanted: Option<&str>| {
            let is_it = |it: &&usize| resources.get(**it).is_some_and(|it| it.index.as_deref() == wanted);
            all.iter().find(is_it).copied()
        };
        match (key, &all[..]) {
            (Some(key), _) => with(Some(key)),
            (None, [only]) => Some(*only),
            // `aws_lb_target_group.proxy[each.key]` has no key here.
            (None, _) => with(scope.key.as_deref()),
        }
    }
}

/// Returns whether an expression names resources, but none of this kind. Then it is about something else.
fn names_another_resource(names: &[&str], kind: &str) -> bool {
    let is_resource = |name: &&str| name.starts_with("aws") || name.starts_with("data.aws");
    let is_of_kind = |name: &&str| name.replacen("aws_alb", "aws_lb", 1).contains(&format!("{kind}."));
    names.iter().any(is_resource) && !names.iter().any(is_of_kind)
}

/// Returns whether another reference says the same with a key: those of `x[0].arn` are `x[0].arn`, `x[0]` and `x`.
fn is_repeated(name: &str, names: &[&str]) -> bool {
    let is_variable = ["var.", "module.", "each."].iter().any(|start| name.starts_with(start));
    !is_variable && names.iter().any(|other| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('[')))
}

fn references(expression: &Node) -> Vec<&str> {
    expression.get("references").map_or(&[][..], Node::items).iter().filter_map(Node::as_text).collect()
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The parts of an address, each with its key: `module.a["x.y"].out` is `module`, `a["x.y"]`, `out`.
fn parts(address: &str) -> Vec<&str> {
    let (mut parts, mut start, mut is_quoted, mut depth) = (Vec::new(), 0, false, 0_usize);
    let mut is_escaped = false;
    for (at, character) in address.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '[' if !is_quoted => depth = depth.saturating_add(1),
            ']' if !is_quoted => depth = depth.saturating_sub(1),
            '.' if !is_quoted && depth == 0 => {
                parts.extend(address.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(address.get(start..));
    parts
}

/// `a["x"]` is `a` with the key `"x"`.
fn with_key(part: &str) -> (&str, Option<&str>) {
    match part.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        Some((name, key)) => (name, Some(key)),
        None => (part, None),
    }
}

/// The names of the modules in an address: of `module.a["x"].module.b` it is `a.b`.
fn names_of(module: &str) -> String {
    let parts = parts(module);
    let names: Vec<&str> = parts.chunks(2).filter_map(|pair| Some(with_key(pair.get(1)?).0)).collect();
    names.join(".")
}

/// The address of the module above, and the call with its key.
fn parent(module: &str) -> Option<(String, String)> {
    let mut parts = parts(module);
    let call = parts.pop()?.to_owned();
    parts.pop().filter(|word| *word == "module")?;
    Some((parts.join("."), call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_parts_and_keys() {
        assert_eq!(parts(r#"module.a["x.y\"]."].out[0].arn"#), ["module", r#"a["x.y\"]."]"#, "out[0]", "arn"]);
        assert_eq!(parts(""), [""]);
        assert_eq!(with_key(r#"a["x"]"#), ("a", Some("\"x\"")));
        assert_eq!(with_key("a[0]"), ("a", Some("0")));
        assert_eq!(with_key("a"), ("a", None));
        assert_eq!(names_of(r#"module.a["x"].module.b[1]"#), "a.b");
        assert_eq!(names_of(""), "");
        assert_eq!(parent(r"module.a.module.b[1]"), Some(("module.a".to_owned(), "b[1]".to_owned())));
        assert_eq!(parent("module.a"), Some((String::new(), "a".to_owned())));
        assert_eq!(parent(""), None);
    }
}
