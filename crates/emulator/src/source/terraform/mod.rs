//! Output of `terraform show -json` and `tofu show -json`, a plan or a state: the resources of the AWS provider that are read,
//! and how they belong together. Their shapes are turned into ELBv2's own in `shapes`; what a plan cannot know yet is looked up
//! by the expressions of the configuration in `references`.
//!
//! Terraform, "JSON Output Format"; AWS provider 6, `aws_lb_listener_rule` and the resources around it.

mod references;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};

use crossfade_document::{Key, Place};
use crossfade_event::HeaderMode;
use http::StatusCode;

use self::references::References;
use super::draft::{Draft, name_in_arn};
use super::node::{Node, Unknown, Value, excerpt};
use super::{apis, cloudformation, elbv2, quota};
use crate::{Action, Function, Listener, Rule, Tls};

/// The major version of the format that is read.
const FORMAT: &str = "1";

/// Front ends and rules that are not read from Terraform, by the beginning of their type.
const NOT_READ: [&str; 7] = [
    "aws_api_gateway_",
    "aws_apigatewayv2_",
    "aws_cloudfront_distribution",
    "aws_elb",
    "aws_lambda_function_url",
    "aws_vpclattice_",
    "awscc_elasticloadbalancingv2_",
];

/// The kind of target groups.
const GROUP: &str = "aws_lb_target_group";

const APPLY: &str = "read the state after `terraform apply`, with `terraform show -json`";

/// An instance of a resource.
struct Resource {
    /// The address of its module, such as `module.a["x"].module.b`; empty for the root module.
    module: String,
    kind: String,
    name: String,
    /// The key of `count` or `for_each`, as in an address.
    index: Option<String>,
    address: String,
    is_data: bool,
    place: Place,
    values: Node,
}

impl Resource {
    /// Returns an attribute that has a value, known or not.
    fn get(&self, name: &str) -> Option<&Node> {
        self.values.get(name).filter(|node| !node.is_null())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Node::as_text).filter(|text| !text.is_empty())
    }

    /// Returns the text by which the rest of the file names it: its ARN, or its address while AWS has given none.
    fn id(&self) -> &str {
        self.text("arn").unwrap_or(&self.address)
    }
}

/// All resources with the expressions that refer to them.
struct Terraform<'d> {
    resources: Vec<Resource>,
    references: References<'d>,
    /// The functions that the file defines, by name.
    names: BTreeMap<String, usize>,
    /// The functions that have been added, by resource.
    functions: BTreeMap<usize, usize>,
}

pub(super) fn read(draft: &mut Draft<'_>, document: &Node) {
    let format = document.get("format_version").and_then(Node::as_text).unwrap_or_default();
    if format.split('.').next() != Some(FORMAT) && !format.starts_with("0.") {
        let message = format!("`format_version` is `{}`; Crossfade reads version {FORMAT}", excerpt(format));
        draft.findings.warning(&document.place, message);
    }
    let modules = ["planned_values", "values"].map(|name| document.get(name)?.get("root_module"));
    let Some(root) = modules.into_iter().flatten().next() else {
        let hint = "apply it, or make a plan: `terraform plan -out plan && terraform show -json plan`";
        return draft.findings.error_with_hint(&document.place, "there is no resource in it", hint);
    };
    let unknown = unknown_values(document);
    let mut resources = Vec::new();
    collect(root, "", &unknown, &mut resources);
    // What a plan has read from AWS.
    if let Some(prior) = document.at(&["prior_state", "values", "root_module"]) {
        let mut prior_resources = Vec::new();
        collect(prior, "", &BTreeMap::new(), &mut prior_resources);
        resources.extend(prior_resources.into_iter().filter(|resource| resource.is_data));
    }
    let region = document.at(&["configuration", "provider_config", "aws", "expressions", "region", "constant_value"]);
    let region = region.and_then(Node::as_text).or_else(|| resources.iter().find_map(region_of));
    if let (Some(region), None) = (region, &draft.options.region) {
        draft.region = region.to_owned();
        draft.knows_region = true;
    }
    let references = References::new(document.at(&["configuration", "root_module"]), &resources);
    let name_of = |(index, resource): (usize, &Resource)| {
        let name =
            resource.text("function_name").filter(|_| resource.kind == "aws_lambda_function" && !resource.is_data)?;
        Some((name.to_owned(), index))
    };
    let names = resources.iter().enumerate().filter_map(name_of).collect();
    let mut terraform = Terraform { resources, references, names, functions: BTreeMap::new() };
    terraform.read(draft, document);
}

/// The region in an ARN of a resource.
fn region_of(resource: &Resource) -> Option<&str> {
    let arn = resource.text("arn").or_else(|| resource.text("listener_arn"))?;
    arn.split(':').nth(3).filter(|region| !region.is_empty())
}

/// The values of each resource of a plan that only `apply` knows, by its address.
fn unknown_values(document: &Node) -> BTreeMap<&str, &Node> {
    let changes = document.get("resource_changes").map_or(&[][..], Node::items);
    let unknown = |change: &'_ Node| change.at(&["change", "after_unknown"]).is_some();
    let changes = changes.iter().filter(|change| unknown(change));
    changes.filter_map(|it| Some((it.get("address")?.as_text()?, it.at(&["change", "after_unknown"])?))).collect()
}

fn collect(module: &Node, address: &str, unknown: &BTreeMap<&str, &Node>, resources: &mut Vec<Resource>) {
    for node in module.get("resources").map_or(&[][..], Node::items) {
        let text = |name: &str| node.get(name).and_then(Node::as_text);
        let (Some(kind), Some(name)) = (text("type"), text("name")) else { continue };
        if !kind.starts_with("aws") {
            continue;
        }
        let own = text("address").map_or_else(|| format!("{kind}.{name}"), str::to_owned);
        let nothing = Node::new(node.place, Value::Map(Vec::new()));
        let values = node.get("values").unwrap_or(&nothing);
        resources.push(Resource {
            module: address.to_owned(),
            kind: kind.replacen("aws_alb", "aws_lb", 1),
            name: name.to_owned(),
            index: node.get("index").and_then(index_of),
            is_data: text("mode") == Some("data"),
            place: node.place,
            values: with_unknown(values, unknown.get(own.as_str()).copied()),
            address: own,
        });
    }
    for child in module.get("child_modules").map_or(&[][..], Node::items) {
        let address = child.get("address").and_then(Node::as_text).unwrap_or_default();
        collect(child, address, unknown, resources);
    }
}

/// `0` or `"key"`, as in an address.
fn index_of(node: &Node) -> Option<String> {
    let scalar = node.as_scalar()?;
    Some(if scalar.is_plain { scalar.text.to_string() } else { format!("\"{}\"", scalar.text) })
}

/// Returns the values with what only `apply` knows, which `after_unknown` marks with `true` in the same shape.
fn with_unknown(values: &Node, unknown: Option<&Node>) -> Node {
    let place = values.place;
    match (&values.value, unknown.map(|unknown| &unknown.value)) {
        (_, Some(Value::Scalar(scalar))) if scalar.as_bool() == Some(true) => {
            let unknown = Unknown {
                written: "(known after apply)".to_owned(),
                hint: Some(APPLY.to_owned()),
                ..Unknown::elsewhere("the plan does not have it yet")
            };
            Node::new(place, Value::Unknown(unknown))
        }
        (Value::Map(members), Some(Value::Map(unknown))) => {
            let of: BTreeMap<&str, &Node> = unknown.iter().map(|(key, node)| (&*key.name, node)).collect();
            let known =
                members.iter().map(|(key, node)| (key.clone(), with_unknown(node, of.get(&*key.name).copied())));
            let mut all: Vec<(Key, Node)> = known.collect();
            let names: BTreeSet<&str> = members.iter().map(|(key, _)| &*key.name).collect();
            let nothing = Node::plain(place, "null");
            let further = of.into_iter().filter(|(name, _)| !names.contains(name));
            all.extend(
                further.map(|(name, node)| (Key { place, name: name.into() }, with_unknown(&nothing, Some(node)))),
            );
            Node::new(place, Value::Map(all))
        }
        (Value::List(items), Some(Value::List(unknown))) => {
            let items = items.iter().enumerate().map(|(index, node)| with_unknown(node, unknown.get(index)));
            Node::new(place, Value::List(items.collect()))
        }
        _ => values.clone(),
    }
}

impl Terraform<'_> {
    fn read(&mut self, draft: &mut Draft<'_>, document: &Node) {
        let mut not_read = apis::LeftOut::default();
        for resource in self.resources.iter().filter(|resource| !resource.is_data) {
            if NOT_READ.iter().any(|start| resource.kind.starts_with(start)) {
                not_read.add(&resource.place, &resource.kind);
            }
        }
        let all: Vec<usize> = (0..self.resources.len()).collect();
        let of_kind = |this: &Self, kind: &str| -> Vec<usize> {
            let is_one = |index: &usize| this.resources.get(*index).is_some_and(|resource| resource.kind == kind);
            all.iter().copied().filter(is_one).collect()
        };
        for index in of_kind(self, "aws_lb") {
            self.load_balancer(draft, index);
        }
        let attached = self.attached(&of_kind(self, "aws_lb_target_group_attachment"));
        for index in of_kind(self, "aws_lb_target_group") {
            self.target_group(draft, index, attached.get(&index).map_or(&[][..], Vec::as_slice));
        }
        for index in of_kind(self, "aws_lb_listener") {
            self.listener(draft, index);
        }
        for index in of_kind(self, "aws_lb_listener_rule") {
            self.rule(draft, index);
        }
        draft.findings.set_part("");
        let hint = "`crossfade dev` runs them from a template or a `serverless.yml`";
        if draft.listeners.is_empty() && !draft.findings.has_errors() {
            let message = format!(
                "it has no listener and no rule of an Application Load Balancer (`aws_lb_listener_rule`){}",
                not_read.kinds()
            );
            draft.findings.error_with_hint(&document.place, message, "name a plan or a state that has them");
        } else {
            not_read.say(draft, "these resources are not read from Terraform", hint);
        }
    }

    fn load_balancer(&self, draft: &mut Draft<'_>, index: usize) {
        let Some(resource) = self.resources.get(index) else { return };
        let kind = resource.text("load_balancer_type").unwrap_or("application");
        if resource.is_data || kind != "application" {
            return;
        }
        draft.findings.set_part(format!("`{}`", excerpt(&resource.address)));
        let attributes = shapes::load_balancer_attributes(&resource.values);
        elbv2::load_balancer_attributes(&mut draft.findings, &attributes, &mut draft.settings.load_balancer);
    }

    /// The attachments of each target group.
    fn attached(&self, attachments: &[usize]) -> BTreeMap<usize, Vec<usize>> {
        let of_arn = |(index, resource): (usize, &Resource)| {
            let arn = resource.text("arn").filter(|_| resource.kind == "aws_lb_target_group" && !resource.is_data)?;
            Some((arn.to_owned(), index))
        };
        let by_arn: BTreeMap<String, usize> = self.resources.iter().enumerate().filter_map(of_arn).collect();
        let mut attached: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for attachment in attachments {
            let Some(resource) = self.resources.get(*attachment) else { continue };
            let group = match resource.text("target_group_arn") {
                Some(arn) => by_arn.get(arn).copied(),
                None => self.resolved(resource, &["target_group_arn"], "aws_lb_target_group"),
            };
            if let Some(group) = group {
                attached.entry(group).or_default().push(*attachment);
            }
        }
        attached
    }

    fn target_group(&mut self, draft: &mut Draft<'_>, index: usize, targets: &[usize]) {
        let Some(resource) = self.resources.get(index) else { return };
        // One that is only looked up has no target here; rules name it by its ARN.
        if resource.is_data {
            return;
        }
        let (id, place) = (resource.id().to_owned(), resource.place);
        let name = resource.text("name").unwrap_or(&resource.name).to_owned();
        draft.findings.set_part(format!("`{}`", excerpt(&resource.address)));
        let kind = resource.text("target_type").unwrap_or("instance");
        let mut function = None;
        if kind == "lambda" {
            function = Some(match targets {
                [] => draft.function(&id, &name),
                [only] => self.target(draft, *only, &name),
                _ => return draft.findings.error(&place, "a Lambda target group has at most one target"),
            });
        } else {
            let message = format!("the targets of `{name}` are not functions (`target_type` is `{}`)", excerpt(kind));
            draft.findings.warning_with_hint(&place, message, "requests to it get 503 here");
        }
        let Some(resource) = self.resources.get(index) else { return };
        let mut group = draft.new_group(&name, HeaderMode::Single, function);
        if let Some(arn) = resource.text("arn") {
            group.arn = arn.to_owned();
        }
        if kind_is_lambda(resource) {
            draft.findings.set_part(format!("`{}`", excerpt(&resource.address)));
            let attributes = shapes::target_group_attributes(&resource.values);
            elbv2::target_group_attributes(&mut draft.findings, &attributes, &mut group);
            let check = shapes::health_check(&resource.values);
            group.health_check = elbv2::health_check(&mut draft.findings, &check);
        }
        if let Some(function) = function {
            draft.add_name(function, &resource.address);
        }
        draft.add_group(&id, group);
    }

    /// Returns the resource of a kind that an expression refers to. If the expression does not say it, the only one of the kind.
    fn resolved(&self, resource: &Resource, path: &[&str], kind: &str) -> Option<usize> {
        self.references.resolve(resource, path, &self.resources, kind)
    }

    /// Returns the index of the function that an attachment registers.
    fn target(&mut self, draft: &mut Draft<'_>, attachment: usize, group: &str) -> usize {
        let Some(attachment) = self.resources.get(attachment) else { return draft.function(group, group) };
        if let Some(arn) = attachment.text("target_id").map(str::to_owned) {
            return match self.names.get(&unqualified_name(&arn)).copied() {
                Some(function) => self.function(draft, function),
                None => cloudformation::function_named(draft, &arn),
            };
        }
        let id = attachment.address.clone();
        let alias = self.resolved(attachment, &["target_id"], "aws_lambda_alias").and_then(|it| self.resources.get(it));
        let function = self.resolved(attachment, &["target_id"], "aws_lambda_function");
        let function = function.or_else(|| match alias?.text("function_name") {
            Some(text) => self.names.get(&unqualified_name(text)).copied(),
            None => self.resolved(alias?, &["function_name"], "aws_lambda_function"),
        });
        match function {
            Some(function) => self.function(draft, function),
            None => draft.function(&id, group),
        }
    }

    /// Adds a function, unless it is there already.
    fn function(&mut self, draft: &mut Draft<'_>, index: usize) -> usize {
        if let Some(known) = self.functions.get(&index) {
            return *known;
        }
        let Some(resource) = self.resources.get(index) else { return draft.function("", "") };
        draft.findings.set_part(format!("`{}`", excerpt(&resource.address)));
        let name = resource.text("function_name").unwrap_or(&resource.name).to_owned();
        let mut function = Function::new(&name, Vec::new());
        function.directory = Some(draft.folder.clone());
        function.runtime = resource.text("runtime").map(str::to_owned);
        function.handler = resource.text("handler").map_or(function.handler, str::to_owned);
        // -1 reserves none.
        let reserved = resource.get("reserved_concurrent_executions").filter(|node| node.as_text() != Some("-1"));
        let limits = [
            ("timeout", resource.get("timeout")),
            ("memory_size", resource.get("memory_size")),
            ("reserved_concurrent_executions", reserved),
        ];
        cloudformation::limits(draft, &mut function, limits);
        function.env = draft.region_variable();
        let mut left_out = Vec::new();
        for block in shapes::blocks(resource.values.get("environment")) {
            match block.get("variables").filter(|node| !node.is_null()) {
                Some(Node { value: Value::Unknown(_), .. }) => left_out.push("environment".to_owned()),
                Some(variables) => {
                    let members = variables.members();
                    elbv2::add_environment(&mut draft.findings, members, &mut function.env, &mut left_out);
                }
                None => {}
            }
        }
        let names = vec![resource.name.clone(), name, resource.address.clone()];
        let added = draft.add_function(function, names);
        draft.leave_out(added, left_out);
        self.functions.insert(index, added);
        added
    }

    fn listener(&self, draft: &mut Draft<'_>, index: usize) {
        let Some(resource) = self.resources.get(index) else { return };
        let id = resource.id().to_owned();
        if draft.listeners.iter().any(|known| known.id == id) {
            return;
        }
        draft.findings.set_part(format!("`{}`", excerpt(&resource.address)));
        let has_certificate = resource.text("certificate_arn").is_some();
        let protocol = resource.text("protocol").unwrap_or(if has_certificate { "HTTPS" } else { "HTTP" });
        if !matches!(protocol, "HTTP" | "HTTPS") {
            let message = format!(
                "ignored: its protocol is `{}`, which Application Load Balancers do not support",
                excerpt(protocol)
            );
            return draft.findings.warning(&resource.place, message);
        }
        // That of a listener which is only looked up leads to what the file does not describe.
        let default = resource.get("default_action").filter(|_| !resource.is_data);
        let default = default.map(|_| self.actions(draft, resource, "default_action"));
        let default = default.and_then(|actions| elbv2::actions(draft, "default_action", &actions));
        let mut listener = Listener::http(default.unwrap_or_else(|| Action::status(StatusCode::NOT_FOUND)));
        listener.name = match resource.text("arn") {
            Some(arn) => name_in_arn(arn),
            None => resource.address.clone(),
        };
        let port = resource.get("port").and_then(|port| draft.findings.if_known("port", port));
        listener.port = port.and_then(|port| draft.findings.number("port", port, 1..=u16::MAX));
        if protocol == "HTTPS" {
            let mutual = shapes::mutual_authentication(&resource.values);
            let mutual = mutual.map(|mutual| elbv2::mutual_authentication(&mut draft.findings, &mutual));
            listener.tls = Some(Tls { mutual: mutual.unwrap_or_default(), ..Tls::default() });
        }
        let attributes = shapes::listener_attributes(&resource.values);
        elbv2::listener_attributes(&mut draft.findings, &attributes, &mut listener.attributes);
        draft.add_listener(&id, listener, &resource.place);
    }

    fn rule(&self, draft: &mut Draft<'_>, index: usize) {
        let Some(resource) = self.resources.get(index) else { return };
        if resource.is_data {
            return;
        }
        let place = &resource.place;
        draft.findings.set_part(format!("`{}`", excerpt(&resource.address)));
        let Some(priority) = resource.get("priority").filter(|node| !matches!(node.value, Value::Unknown(_))) else {
            let hint = "write `priority`, or read the state after `terraform apply`";
            return draft.findings.error_with_hint(place, "`priority` is missing: AWS chooses it", hint);
        };
        let priority = draft.findings.number("priority", priority, 1..=quota::MAX_PRIORITY);
        let listener = match resource.text("listener_arn") {
            Some(arn) => arn.to_owned(),
            None => match self
                .resolved(resource, &["listener_arn"], "aws_lb_listener")
                .and_then(|it| self.resources.get(it))
            {
                Some(listener) => listener.id().to_owned(),
                None => {
                    let (written, _) = self.references.written(resource, &["listener_arn"], "aws_lb_listener");
                    let is_new = draft.listeners.iter().all(|known| known.id != written);
                    if is_new && !draft.listeners.is_empty() {
                        let message = format!("the file does not say its listener: `{}`", excerpt(&written));
                        draft.findings.warning_with_hint(place, message, "it gets a listener of its own");
                    }
                    written
                }
            },
        };
        let conditions = shapes::conditions(&mut draft.findings, &resource.values);
        let actions = self.actions(draft, resource, "action");
        let transforms = shapes::transforms(&resource.values);
        let Some(conditions) = conditions else { return };
        let rule = shapes::map(*place, [("Conditions", conditions), ("Actions", actions), ("Transforms", transforms)]);
        if let (Some(priority), Some((conditions, transforms, action))) =
            (priority, cloudformation::rule_parts(draft, &rule))
        {
            quota::conditions(&mut draft.findings, place, &conditions);
            // All of a file is one line.
            let origin = format!("{}, {}", draft.files.name(place.file), resource.address);
            let listener = draft.listener(&listener, place);
            draft.add_rule(listener, Rule { priority, conditions, transforms, action, origin }, place);
        }
    }

    /// Returns the actions in ELBv2's shape, with target groups by the ids that they have here.
    fn actions(&self, draft: &mut Draft<'_>, resource: &Resource, block: &str) -> Node {
        let mut list = Vec::new();
        for (number, action) in shapes::blocks(resource.values.get(block)).iter().enumerate() {
            let number = number.to_string();
            let targets =
                shapes::blocks(action.get("forward")).first().map(|it| shapes::blocks(it.get("target_group")));
            let path = [block, &number, "forward", "0", "target_group"];
            let expressions = self.references.expression(resource, &path).map_or(&[][..], Node::items);
            let arns: Vec<String> = expressions
                .iter()
                .take(shapes::MOST_TARGETS)
                .zip(0..)
                .map(|it| self.arn_of(resource, &path, it))
                .collect();
            let order = shapes::order(targets.unwrap_or_default(), expressions, &arns);
            list.push(shapes::action(action, |node, path| {
                let mut path: Vec<String> =
                    [block, &number].iter().chain(path).map(|step| (*step).to_owned()).collect();
                // `forward`, `0`, `target_group`, its number, `arn`
                if let Some(at) = path.get_mut(5)
                    && expressions.len() > 1
                {
                    let own = at.parse().ok().and_then(|at: usize| order.get(at));
                    if own.is_none_or(|own| own.is_guess) {
                        let message = "the plan does not say which target group has which weight; the order of the configuration is assumed";
                        draft.findings.warning_with_hint(&node.place, message, APPLY);
                    }
                    if let Some(own) = own {
                        *at = own.number.to_string();
                    }
                }
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let (id, is_choice) = self.group_of(resource, node, &path);
                if is_choice && !draft.group_ids.contains(&id) {
                    draft.group(&id);
                    let message = format!("the plan does not say which target group it is: `{}`", excerpt(&id));
                    draft.findings.warning_with_hint(&node.place, message, APPLY);
                }
                Node::quoted(node.place, id)
            }));
        }
        Node::new(resource.place, Value::List(list))
    }

    /// Returns the ARN that the expression of a target group has or refers to, by its number; empty if it is not known.
    fn arn_of(&self, resource: &Resource, path: &[&str], (expression, number): (&Node, usize)) -> String {
        if let Some(arn) = expression.at(&["arn", "constant_value"]).and_then(Node::as_text) {
            return arn.to_owned();
        }
        let number = number.to_string();
        let path: Vec<&str> = path.iter().copied().chain([number.as_str(), "arn"]).collect();
        let group = self.resolved(resource, &path, GROUP).and_then(|it| self.resources.get(it));
        group.and_then(|group| group.text("arn")).unwrap_or_default().to_owned()
    }

    /// Returns the id of the target group that a block names, and whether it is a choice of several.
    fn group_of(&self, resource: &Resource, block: &Node, path: &[&str]) -> (String, bool) {
        match block.get("target_group_arn").and_then(Node::as_text).filter(|arn| !arn.is_empty()) {
            Some(arn) => (arn.to_owned(), false),
            None => match self.resolved(resource, path, GROUP).and_then(|it| self.resources.get(it)) {
                Some(group) => (group.id().to_owned(), false),
                None => self.references.written(resource, path, GROUP),
            },
        }
    }
}

/// The name in the ARN of a function, with or without an alias or version.
fn unqualified_name(arn: &str) -> String {
    let name = name_in_arn(arn);
    name.split(':').next().unwrap_or_default().to_owned()
}

fn kind_is_lambda(resource: &Resource) -> bool {
    resource.text("target_type") == Some("lambda")
}
