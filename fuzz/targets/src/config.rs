//! Any text as `crossfade.yaml`: every error can be shown, and a valid configuration finds a route for any request.

use crossfade_route::{Action, Checked, Nothing, Observer, RequestView, RoutingTable, Skipped};

use crate::text;

struct Everything;

impl Observer for Everything {
    const EVALUATES_ALL: bool = true;

    fn skipped(&mut self, skipped: Skipped<'_>) {
        assert!(!skipped.condition().is_empty());
    }
}

/// The file.
pub fn config(data: &[u8]) {
    let text = text(data);
    let checked = Checked::new(text, "fuzz.yaml", &Nothing);
    let told = checked.diagnostics.to_string();
    assert!(checked.diagnostics.with_lines().to_string().len() >= told.len());
    match &checked.table {
        Some(table) => meet(table, text),
        None => assert!(!told.is_empty()),
    }
    let _ = RoutingTable::from_backend_url(text, "fuzz", &Nothing);
}

/// Requests made of the text itself: it has the hosts and paths of its routes.
fn meet(table: &RoutingTable, text: &str) {
    let headers = http::HeaderMap::new();
    for word in text.split([' ', '"', '\'', '[', ']', ',', '\n']).take(100) {
        let (path, query) = word.split_once('?').unwrap_or((word, ""));
        let request = RequestView {
            method: "GET",
            host: word.as_bytes(),
            path: path.as_bytes(),
            query: Some(query.as_bytes()),
            headers: &headers,
            source_ip: None,
        };
        let route = table.select(&request);
        assert_eq!(route.name, table.select_observed(&request, &mut Everything).name);
        let _ = route.captures(path);
        let _ = (route.transforms.target(word), route.transforms.host(word));
        if let Action::Forward(forward) = &route.action {
            assert!(forward.choose(&request, true, 7).target < forward.targets.len());
        }
    }
}
