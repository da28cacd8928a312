//! The resource-based policy of a function (Lambda developer guide, "Using resource-based policies for Lambda"). Owns reading the parts
//! that decide who may invoke it.

use serde_json::Value;

use super::facts::Statement;

/// The statements of a policy; `None` if the text is not a policy.
pub(super) fn statements(text: &str) -> Option<Vec<Statement>> {
    let document: Value = serde_json::from_str(text).ok()?;
    Some(items(document.get("Statement")?).map(statement).collect())
}

fn statement(value: &Value) -> Statement {
    let texts = |value: Option<&Value>| -> Vec<String> {
        value.into_iter().flat_map(items).filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let principals = match value.get("Principal") {
        Some(Value::Object(kinds)) => kinds.values().flat_map(|kind| texts(Some(kind))).collect(),
        other => texts(other),
    };
    let mut statement = Statement {
        sid: value.get("Sid").and_then(Value::as_str).unwrap_or_default().to_owned(),
        is_allow: value.get("Effect").and_then(Value::as_str) == Some("Allow"),
        principals,
        actions: texts(value.get("Action")),
        ..Statement::default()
    };
    let operators = value.get("Condition").and_then(Value::as_object).into_iter().flatten();
    for (operator, keys) in operators {
        for (key, values) in keys.as_object().into_iter().flatten() {
            let is_positive = !operator.contains("Not") && !operator.contains("Null");
            match key.to_ascii_lowercase().as_str() {
                "aws:sourcearn" if is_positive => statement.source_arns.extend(texts(Some(values))),
                "aws:sourceaccount" if is_positive => statement.source_accounts.extend(texts(Some(values))),
                _ => statement.other_conditions.push(key.clone()),
            }
        }
    }
    statement
}

/// The elements of a list, or the value itself: policies allow both.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(values) => values.as_slice(),
        other => std::slice::from_ref(other),
    }
    .iter()
}

impl Statement {
    /// Returns `true` if the statement is about invocations by load balancers, whatever its conditions.
    pub(super) fn concerns_load_balancers(&self) -> bool {
        let is_service = |it: &String| it == "*" || it.starts_with("elasticloadbalancing.amazonaws.com");
        let is_invoke = |it: &String| like(&it.to_ascii_lowercase(), "lambda:invokefunction");
        self.principals.iter().any(is_service) && self.actions.iter().any(is_invoke)
    }

    /// Returns `true` if the statement applies to a target group of an account.
    pub(super) fn applies_to(&self, group: &str, account: &str) -> bool {
        (self.source_arns.is_empty() || self.source_arns.iter().any(|pattern| like(pattern, group)))
            && (self.source_accounts.is_empty() || self.source_accounts.iter().any(|it| it == account))
    }

    /// Returns `true` if it is limited to target groups of the function's own account. The account in
    /// the ARN counts, and so does `aws:SourceAccount`.
    pub(super) fn is_scoped_to(&self, account: &str) -> bool {
        let has_account = |arn: &String| arn.split(':').nth(4) == Some(account);
        !self.source_accounts.is_empty() || !self.source_arns.is_empty() && self.source_arns.iter().all(has_account)
    }
}

/// Matches IAM's wildcards, `*` and `?`, in time that grows with the product of both lengths at most.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(byte) if *byte == b'?' || text.get(from) == Some(byte) => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((after, tried)) => {
                    star = Some((after, tried + 1));
                    at = after + 1;
                    from = tried + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/shop/0123456789abcdef";

    #[test]
    fn wildcards() {
        for (pattern, matches) in [
            ("*", true),
            (GROUP, true),
            ("arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/*", true),
            ("arn:aws:elasticloadbalancing:*:targetgroup/shop/????????????????", true),
            ("arn:*/shop/*f", true),
            ("arn:*/shop/*e", false),
            ("", false),
            ("arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/other/*", false),
        ] {
            assert_eq!(like(pattern, GROUP), matches, "{pattern}");
        }
    }

    #[test]
    fn a_statement_in_any_form() {
        for (text, concerns, applies, is_scoped) in [
            (
                r#"{"Principal":{"Service":"elasticloadbalancing.amazonaws.com"},"Action":"lambda:InvokeFunction","Effect":"Allow",
                   "Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/shop/*"}}}"#,
                true,
                true,
                true,
            ),
            (
                r#"{"Principal":{"Service":["events.amazonaws.com","elasticloadbalancing.amazonaws.com"]},"Action":["lambda:*"],
                   "Effect":"Allow","Condition":{"StringEquals":{"aws:SourceAccount":["111122223333"]}}}"#,
                true,
                true,
                true,
            ),
            (r#"{"Principal":"*","Action":"lambda:InvokeFunction","Effect":"Allow"}"#, true, true, false),
            (
                r#"{"Principal":{"Service":"elasticloadbalancing.amazonaws.com.cn"},"Action":"lambda:invokeFunction",
                   "Condition":{"StringLike":{"aws:SourceArn":"arn:aws:elasticloadbalancing:*:targetgroup/shop/*"}}}"#,
                true,
                true,
                false,
            ),
            (
                r#"{"Principal":{"Service":"elasticloadbalancing.amazonaws.com"},"Action":"lambda:InvokeFunction",
                   "Condition":{"ArnEquals":{"AWS:SourceArn":"arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/old/1"}}}"#,
                true,
                false,
                true,
            ),
            (
                r#"{"Principal":{"Service":"events.amazonaws.com"},"Action":"lambda:InvokeFunction"}"#,
                false,
                true,
                false,
            ),
            (
                r#"{"Principal":{"Service":"elasticloadbalancing.amazonaws.com"},"Action":"lambda:GetFunction"}"#,
                false,
                true,
                false,
            ),
            ("{}", false, true, false),
            ("7", false, true, false),
        ] {
            let policy = format!("{{\"Statement\":[{text}]}}");
            let [statement] = &statements(&policy).unwrap()[..] else { panic!("{text}") };
            let found = (
                statement.concerns_load_balancers(),
                statement.applies_to(GROUP, "111122223333"),
                statement.is_scoped_to("111122223333"),
            );
            assert_eq!(found, (concerns, applies, is_scoped), "{text}");
        }
        assert_eq!(statements("no policy"), None);
        assert_eq!(statements("{}"), None);
    }
}
