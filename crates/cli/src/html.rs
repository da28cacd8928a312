//! Shared HTML and XML: rendering a page to text, the only content that is not escaped, and table heads.
//!
//! The templates are maud's `html!`, which escapes every value, in text and in attributes. A test of `xtask` keeps
//! `PreEscaped` and handwritten tags out of all other files of this crate. Owns no page.

use maud::{Markup, PreEscaped, html};

use crate::terminal::safe;

/// A document of XML. Attributes and text are escaped alike in HTML and XML; control characters must have been removed.
pub(crate) fn render_xml(document: Markup) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", document.into_string())
}

/// Renders a page, or a part of one. Control characters, tabs, and characters that hide or reorder others become escapes such as
/// `\u{202e}`; line breaks stay.
pub(crate) fn render(markup: Markup) -> String {
    safe(&markup.into_string()).replace('\t', "\\t")
}

/// Returns one of our own style sheets as the content of `style`, in which HTML has no escapes.
pub(crate) fn style_sheet(css: &'static str) -> PreEscaped<&'static str> {
    PreEscaped(css)
}

/// A table head with the name and class of each column; an empty class is omitted.
pub(crate) fn table_head<'c>(columns: impl IntoIterator<Item = (&'c str, &'c str)>) -> Markup {
    let columns = columns.into_iter().map(|(name, class)| (name, Some(class).filter(|class| !class.is_empty())));
    html! { thead { tr { @for (name, class) in columns { th scope="col" class=[class] { (name) } } } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_text_wherever_it_stands() {
        let value = "</p>\"'><script>alert(1)</script>&amp;\u{202e}\u{1b}[2J\ta\nb";
        let page = render(html! { p title=(value) class=(format_args!("a {value}")) { (value) } });
        let escaped = "&lt;/p&gt;&quot;'&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;\\u{202e}\\u{1b}[2J\\ta\nb";
        assert_eq!(page, format!("<p title=\"{escaped}\" class=\"a {escaped}\">{escaped}</p>"));
    }
}
