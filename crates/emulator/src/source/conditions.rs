//! The conditions of a template (template reference, "Condition functions"). What depends on a value that only AWS knows is
//! unknown. Owns no other function: those are `intrinsics`'.

use crossfade_document::MAX_FINDINGS;

use super::expression::shown;
use super::findings::source_form;
use super::intrinsics::{Intrinsics, cause, misused, text_of};
use super::node::{Node, Unknown, excerpt};

impl Intrinsics<'_> {
    /// Evaluates a condition of `Conditions`.
    pub(super) fn condition(&mut self, name: &str) -> Result<bool, Unknown> {
        let Some(condition) = self.template.at(&["Conditions", name]) else {
            let why = format!("there is no condition `{}`", excerpt(name));
            return Err(self.no_such(why, name, &["Conditions"]));
        };
        self.holds(condition)
    }

    fn holds(&mut self, condition: &Node) -> Result<bool, Unknown> {
        let Some((name, argument)) = condition.only_member() else {
            return Err(Unknown::error("a condition must be one function, such as `Fn::Equals`".to_owned()));
        };
        self.enter()?;
        let result = self.holds_by(name, argument);
        self.leave();
        result
    }

    fn holds_by(&mut self, name: &str, argument: &Node) -> Result<bool, Unknown> {
        match name {
            "Condition" => {
                let name = self.text(argument)?;
                self.condition(&name)
            }
            "Fn::Equals" => {
                let [left, right] = self.arguments(name, argument)?;
                self.equal(&left, &right)
            }
            "Fn::Not" => match argument.items() {
                [inner] => Ok(!self.holds(inner)?),
                _ => Err(misused(name)),
            },
            // One that is known may decide it whatever the others are.
            "Fn::And" | "Fn::Or" => {
                let decisive = name == "Fn::Or";
                let mut unknown = None;
                for inner in argument.items() {
                    match self.holds(inner) {
                        Ok(holds) if holds == decisive => return Ok(decisive),
                        Ok(_) => {}
                        Err(error) => unknown = Some(error),
                    }
                }
                unknown.map_or(Ok(!decisive), Err)
            }
            _ => Err(Unknown::error(format!("`{}` is not a condition function", excerpt(name)))),
        }
    }

    fn equal(&mut self, left: &Node, right: &Node) -> Result<bool, Unknown> {
        if let Some(cause) = cause(&[left, right]) {
            return if !cause.is_error && shown(left) == shown(right) { Ok(true) } else { Err(cause.clone()) };
        }
        let written = |node: &Node| Some(source_form(node).or(node.as_text())?.to_owned());
        let (looks_equal, nodes) = (written(left) == written(right), [left, right]);
        let (left, right) = (text_of(left)?, text_of(right)?);
        if looks_equal && left != right && self.surprising.len() < MAX_FINDINGS {
            self.surprising.extend(nodes.into_iter().filter(|node| source_form(node).is_some()).cloned());
        }
        match self.guessed_account(&left).or_else(|| self.guessed_account(&right)) {
            Some(guessed) if left != right => Err(guessed),
            _ => Ok(left == right),
        }
    }
}
