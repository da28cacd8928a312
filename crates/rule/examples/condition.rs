//! A condition is matched against a request.

use crossfade_rule::{Condition, RequestView, normalised};

fn main() -> Result<(), crossfade_rule::ConditionError> {
    let condition = Condition::path(["/img/*/pics"])?;
    let headers = http::HeaderMap::new();
    let request = RequestView {
        method: "GET",
        host: b"shop.example.com",
        path: normalised(b"/css/../img/a/b/pics"),
        query: None,
        headers: &headers,
        source_ip: None,
    };
    assert!(condition.matches(&request)); // `*` spans `/`
    Ok(())
}

#[test]
fn it_runs() {
    assert!(main().is_ok());
}
