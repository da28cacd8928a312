//! A static site of a few hundred pages with the markup of real ones, as one system serves it and as the other does.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crossfade_testkit::server::{Call, response, serve};

const PRODUCTS: u32 = 140;
const ARTICLES: u32 = 90;
const IMAGES: u32 = 40;

/// The paths at which the new system differs, each in its own way.
pub(super) const PLANTED: [&str; 12] = [
    "/about",
    "/api/products/33",
    "/articles/9",
    "/articles/30",
    "/contact",
    "/feed.xml",
    "/images/5.png",
    "/moved",
    "/products/17",
    "/products/40",
    "/products/99",
    "/style/main.css",
];

/// A system.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum System {
    Legacy,
    Modern,
}

/// All paths of the site.
pub(super) fn paths() -> Vec<String> {
    let mut paths: Vec<String> = [
        "/",
        "/about",
        "/contact",
        "/feed.xml",
        "/moved",
        "/robots.txt",
        "/sitemap.xml",
        "/style/main.css",
        "/script/app.js",
    ]
    .map(str::to_owned)
    .into();
    for number in 1..=PRODUCTS {
        paths.push(format!("/products/{number}"));
        paths.push(format!("/api/products/{number}"));
    }
    paths.extend((1..=ARTICLES).map(|number| format!("/articles/{number}")));
    paths.extend((1..=IMAGES).map(|number| format!("/images/{number}.png")));
    paths
}

/// A server of the site, until the test process ends.
pub(super) fn start(system: System) -> SocketAddr {
    serve(move |call| answer(system, &call))
}

/// The response of a system.
pub(super) fn answer(system: System, call: &Call) -> Vec<u8> {
    let path = call.target().split('?').next().unwrap_or_default();
    let is_new = system == System::Modern;
    let is = |planted: &str| is_new && path == planted;
    let (kind, content) = match path.split('/').skip(1).collect::<Vec<_>>()[..] {
        [""] => (HTML, page("Shop", &listing(1..=12))),
        ["about"] if is_new => {
            return response("404 Not Found", &[("content-type", HTML)], page("Not found", "").as_bytes());
        }
        ["about"] => (HTML, page("About us", "<p>Since 1999 &mdash; cups &amp; plates.</p>")),
        ["contact"] => (HTML, page("Contact", &form(if is_new { "/contact/send" } else { "/cgi-bin/mail.pl" }))),
        ["feed.xml"] => ("application/rss+xml", feed(if is_new { 19 } else { 20 })),
        ["moved"] => {
            let to = if is_new { "/products/2" } else { "/products/1" };
            return response("301 Moved Permanently", &[("location", to)], b"");
        }
        ["robots.txt"] => ("text/plain", "User-agent: *\nDisallow: /api/\nSitemap: /sitemap.xml\n".to_owned()),
        ["sitemap.xml"] => ("application/xml", sitemap()),
        ["style", "main.css"] => {
            let colour = if is_new { "#0b5fff" } else { "#0050d0" };
            ("text/css", format!("nav a {{ color: {colour}; }}\ntable {{ border-collapse: collapse; }}\n"))
        }
        ["script", "app.js"] => {
            ("text/javascript", "document.querySelectorAll('form').forEach(f => f.noValidate = true);\n".into())
        }
        ["products", number] => (HTML, product(number.parse().unwrap_or_default(), &is)),
        ["api", "products", number] => ("application/json", json(number.parse().unwrap_or_default(), &is)),
        ["articles", number] => {
            let fields = [("content-type", HTML), ("cache-control", "max-age=3600")];
            let fields = if is("/articles/30") { &fields[..1] } else { &fields[..] };
            return response("200 OK", fields, article(number, &is).as_bytes());
        }
        ["images", _] => {
            let content = image(path, is("/images/5.png"));
            return response("200 OK", &[("content-type", "image/png")], &content);
        }
        _ => return response("404 Not Found", &[("content-type", HTML)], page("Not found", "").as_bytes()),
    };
    response("200 OK", &[("content-type", kind)], content.as_bytes())
}

const HTML: &str = "text/html; charset=utf-8";

fn page(title: &str, content: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title}</title>
  <link rel="stylesheet" href="/style/main.css"><link rel="alternate" type="application/rss+xml" href="/feed.xml">
</head>
<body>
  <nav><ul><li><a href="/">Home</a><li><a href="/products/1">Products</a><li><a href="/about">About</a><li><a href="/contact">Contact</a></ul></nav>
  <main><h1>{title}</h1>
{content}
  </main>
  <footer><p>&copy; The Shop. <a href="/robots.txt">Robots</a></p></footer>
  <script src="/script/app.js" defer></script>
  <script>window.settings = {{"currency": "EUR", "pageSize": 12}};</script>
</body>
</html>
"#
    )
}

fn listing(numbers: impl Iterator<Item = u32>) -> String {
    let items: String = numbers
        .map(|number| {
            format!(
                "<li><a href=\"/products/{number}\"><img src=\"/images/{number}.png\" alt=\"\">Cup {number}</a></li>\n"
            )
        })
        .collect();
    format!("<ul class=\"products\">\n{items}</ul>")
}

fn form(action: &str) -> String {
    format!(
        r#"<form action="{action}" method="post"><label>Name <input name="name" required></label>
<label>Subject <select name="subject"><option value="1" selected>Order</option><option value="2">Other</option></select></label>
<textarea name="text" rows="5"></textarea><button>Send</button></form>"#
    )
}

fn product(number: u32, is: &dyn Fn(&str) -> bool) -> String {
    let price = format!("{}.{:02}", number % 90 + 5, number % 100);
    let shown = if is("/products/17") { "17.00".to_owned() } else { price.clone() };
    let of_machines = if is("/products/40") { "40.00".to_owned() } else { price };
    let rows: String = (0..6)
        .filter(|row| !(is("/products/99") && *row == 3))
        .map(|row| format!("<tr><th scope=\"row\">Property {row}</th><td>{}</td></tr>\n", number * 7 + row))
        .collect();
    let content = format!(
        r#"<p class="price">{shown} &euro;</p><table><caption>Facts</caption><tbody>
{rows}</tbody></table>
<form action="/cart" method="post"><input type="hidden" name="product" value="{number}"><input type="number" name="count" value="1"><button>Buy</button></form>
<script type="application/ld+json">{{"@context": "https://schema.org", "@type": "Product", "sku": "P{number}", "offers": {{"price": "{of_machines}"}}}}</script>"#
    );
    page(&format!("Cup {number}"), &content)
}

fn json(number: u32, is: &dyn Fn(&str) -> bool) -> String {
    let stock = if is("/api/products/33") { 0 } else { number % 50 + 1 };
    format!(
        r#"{{"id": {number}, "name": "Cup {number}", "tags": ["new", "cup"], "stock": {stock}, "links": {{"self": "/api/products/{number}"}}}}"#
    )
}

fn article(number: &str, is: &dyn Fn(&str) -> bool) -> String {
    let paragraphs: String = (0..8)
        .filter(|paragraph| !(is("/articles/9") && *paragraph == 5))
        .map(|paragraph| format!("<p>Paragraph {paragraph} of article {number}, with <em>emphasis</em> and a <a href=\"/products/{paragraph}\">link</a>.</p>\n"))
        .collect();
    page(&format!("Article {number}"), &format!("<article>\n{paragraphs}</article>"))
}

fn feed(items: u32) -> String {
    let mut text =
        r#"<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>The Shop</title><link>/</link>"#
            .to_owned();
    for number in 1..=items {
        let _ = write!(
            text,
            "<item><title>Article {number}</title><link>/articles/{number}</link><guid>{number}</guid></item>"
        );
    }
    text + "</channel></rss>"
}

fn sitemap() -> String {
    let urls: String = paths().iter().map(|path| format!("<url><loc>{path}</loc></url>")).collect();
    format!(r#"<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>"#)
}

fn image(path: &str, is_other: bool) -> Vec<u8> {
    let seed = path.bytes().map(usize::from).sum::<usize>() + usize::from(is_other);
    let pixels = (0..600_usize).map(|at| ((at * seed) % 251) as u8);
    b"\x89PNG\r\n\x1a\n".iter().copied().chain(pixels).collect()
}
