//! The inspector's HTTP server: maps addresses to pages, and sets the fields of every response.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use maud::{Markup, html};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::filter::{Filter, parameter};
use super::live::{self, Known};
use super::migration::{self, Form, Step};
use super::{Shared, detail, guard, list, page, replay};
use crate::html::render;

/// Maximum number of connections; further ones wait.
const MOST_CONNECTIONS: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a form.
const MOST_BODY: usize = 16 * 1024;

/// Addresses without a variable part that are only read.
const FIXED: [&str; 6] = ["/", "/migration", "/migration.json", "/live", "/style.css", "/script.js"];

/// The fields of every response.
const FIELDS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// A page, or events until the browser disconnects.
pub(super) enum Content {
    Page(Full<Bytes>),
    Events(mpsc::Receiver<Bytes>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Content::Page(page) => Pin::new(page).poll_frame(context),
            Content::Events(events) => events.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event)))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Page(page) => page.size_hint(),
            Content::Events(_) => SizeHint::default(),
        }
    }
}

type Answer = Response<Content>;

pub(super) async fn serve(shared: Arc<Shared>, socket: TcpListener) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Dropping it ends the tasks of all connections.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = socket.accept().await;
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    connection(shared, stream).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(shared, request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    // Ignores clients that disconnect.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let mut answer = match guard::check(shared.address, request.method(), request.headers()) {
        Ok(()) => page_of(shared, request).await,
        Err(guard::Refusal { status, why }) => sorry(status, why),
    };
    for (name, value) in FIELDS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

async fn page_of(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_post = *request.method() == Method::POST;
    let rest = path.strip_prefix("/requests/");
    let id = rest.and_then(|rest| rest.parse::<u64>().ok());
    let replayed = rest.and_then(|rest| rest.strip_suffix("/replay")).and_then(|id| id.parse::<u64>().ok());
    let word = path.strip_prefix("/migration/");
    let step = word.and_then(|word| Step::ALL.into_iter().find(|step| step.word() == word));
    match path.as_str() {
        "/" if is_get => {
            let before = parameter(&query, "before").and_then(|before| before.parse().ok());
            page_with(StatusCode::OK, list::page(&shared, &Filter::parse(&query), before))
        }
        "/migration" if is_get => match migration::look(&shared).await {
            Ok(view) => page_with(StatusCode::OK, migration::page(&shared, &view, &Form::default(), None)),
            Err(missing) => page_with(StatusCode::OK, migration::missing(&shared, &missing)),
        },
        "/migration.json" if is_get => match migration::look(&shared).await {
            Ok(view) => {
                let text = format!("{:#}\n", view.document());
                with_type("application/json", Content::Page(Full::from(text)))
            }
            Err(_) => sorry(StatusCode::NOT_FOUND, "there is no migration with live state"),
        },
        "/live" if is_get => events(shared, &request, &query),
        "/style.css" if is_get => file("text/css; charset=utf-8", include_str!("style.css")),
        "/script.js" if is_get => file("text/javascript; charset=utf-8", include_str!("script.js")),
        _ => match (id, replayed) {
            (Some(id), _) if is_get => match detail::page(&shared, id).await {
                Some(page) => page_with(StatusCode::OK, page),
                None => gone(&shared),
            },
            (_, Some(id)) if is_post => send_again(&shared, request, id).await,
            _ if let Some(step) = step
                && is_post =>
            {
                move_users(&shared, request, step).await
            }
            (Some(_), _) | (_, Some(_)) => {
                sorry(StatusCode::METHOD_NOT_ALLOWED, "this address does not allow this method")
            }
            _ if step.is_some() || FIXED.contains(&path.as_str()) => {
                sorry(StatusCode::METHOD_NOT_ALLOWED, "this address does not allow this method")
            }
            _ => sorry(StatusCode::NOT_FOUND, "page not found"),
        },
    }
}

fn events(shared: Arc<Shared>, request: &Request<Incoming>, query: &str) -> Answer {
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let last = last.or_else(|| parameter(query, "since")).unwrap_or_default();
    let (out, events) = mpsc::channel(2);
    match Known::parse(&last, &shared.run) {
        Some(known) => drop(tokio::spawn(live::tell(shared, Filter::parse(query), known, out))),
        // The page belongs to an earlier run of `crossfade dev`.
        None => drop(out.try_send(Bytes::from_static(b"event: restart\ndata: -\n\n"))),
    }
    with_type("text/event-stream", Content::Events(events))
}

/// Returns the body of one of our own forms, which has the token.
async fn form(shared: &Shared, request: Request<Incoming>) -> Result<String, Answer> {
    let Ok(body) = Limited::new(request.into_body(), MOST_BODY).collect().await else {
        return Err(sorry(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large"));
    };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    match guard::is_token(&parameter(&body, "token").unwrap_or_default(), &shared.token) {
        true => Ok(body),
        false => {
            let why = "the form belongs to another run of `crossfade dev`: reload the page";
            Err(sorry(StatusCode::FORBIDDEN, why))
        }
    }
}

async fn send_again(shared: &Shared, request: Request<Incoming>, id: u64) -> Answer {
    if let Err(answer) = form(shared, request).await {
        return answer;
    }
    // A copy: the lock must not be held while it waits.
    let entry = shared.store().get(id).cloned();
    let Some(entry) = entry else { return gone(shared) };
    match replay::replay(shared, &entry).await {
        Ok(new) => see(&new.map_or("/".to_owned(), |new| format!("/requests/{new}"))),
        Err(error) => sorry(StatusCode::BAD_GATEWAY, &format!("the request could not be sent again: {error:#}")),
    }
}

/// Makes a move of the migration. A move that is refused leaves the fields as they are.
async fn move_users(shared: &Shared, request: Request<Incoming>, step: Step) -> Answer {
    let form = match form(shared, request).await {
        Ok(body) => Form::parse(&body),
        Err(answer) => return answer,
    };
    let Err(refusal) = migration::take(shared, step, &form).await else { return see("/migration") };
    let status = if refusal.is_conflict { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
    match migration::look(shared).await {
        Ok(view) => page_with(status, migration::page(shared, &view, &form, Some(&refusal))),
        Err(missing) => page_with(status, migration::missing(shared, &missing)),
    }
}

/// Sends a browser to a page after a form.
fn see(place: &str) -> Answer {
    let mut answer = with_type("text/plain", Content::Page(Full::default()));
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer.headers_mut().extend(HeaderValue::from_str(place).ok().map(|place| (header::LOCATION, place)));
    answer
}

fn gone(shared: &Shared) -> Answer {
    let main = html! {
        section {
            h1 { "No such request" }
            p.lead { "It is no longer kept, or does not exist. " a href="/" { "All requests" } }
        }
    };
    page_with(StatusCode::NOT_FOUND, page::frame(shared, "No such request", main))
}

fn sorry(status: StatusCode, why: &str) -> Answer {
    page_with(status, page::sorry(&status.to_string(), why))
}

fn page_with(status: StatusCode, page: Markup) -> Answer {
    let mut answer = with_type("text/html; charset=utf-8", Content::Page(Full::from(render(page) + "\n")));
    *answer.status_mut() = status;
    answer
}

fn file(kind: &'static str, text: &'static str) -> Answer {
    with_type(kind, Content::Page(Full::from(text)))
}

fn with_type(kind: &'static str, content: Content) -> Answer {
    let mut answer = Response::new(content);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
