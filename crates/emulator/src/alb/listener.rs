//! The listener: accepts connections, and takes each request from its head to the answer. Read [`Listener::exchange`] first;
//! it has the steps in their order.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossfade_event::{HeaderMode, alb};
use crossfade_rule::RequestView;
use http::request::Parts;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::error_page::{self, Refusal};
use super::rule::{Rules, Selected};
use super::{Balancer, forwarded, limits, loss, reply};
use crate::{Action, Exchange, Notice};

/// Fields in one request; the limit that users meet is the one on their size.
const MOST_FIELDS: usize = 2000;
/// HTTP/2 streams at a time on one connection ("Listeners for your Application Load Balancers").
const MOST_STREAMS: u32 = 128;

pub(crate) struct Listener {
    index: usize,
    rules: Rules,
    balancer: Arc<Balancer>,
}

/// The two ends of a connection.
#[derive(Clone, Copy)]
struct Ends {
    peer: SocketAddr,
    local: SocketAddr,
}

impl Listener {
    pub(crate) fn new(index: usize, settings: crate::Listener, balancer: Arc<Balancer>) -> Self {
        Self { index, rules: Rules::new(settings.rules, settings.default_action), balancer }
    }

    /// Serves until the future is dropped, which also ends all connections.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(Arc::clone(&self).connection(stream, peer));
                }
                // Out of file descriptors, for instance: others will be freed.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Ok(local) = stream.local_addr() else { return };
        let _ = stream.set_nodelay(true);
        let ends = Ends { peer, local };
        let service = service_fn(|request| {
            let listener = Arc::clone(&self);
            async move { Ok::<_, Infallible>(listener.answer(ends, request).await) }
        });
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http1().timer(TokioTimer::new()).max_headers(MOST_FIELDS).header_read_timeout(limits::IDLE_TIMEOUT);
        server.http2().timer(TokioTimer::new()).max_concurrent_streams(MOST_STREAMS);
        // Twice the limit, so that it is our check that answers and not a reset stream.
        server.http2().max_header_list_size(2 * limits::MAX_FIELDS as u32);
        if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
            self.tell_malformed(error.as_ref());
        }
    }

    /// What is not HTTP has been answered by the library; the developer should see it all the same. Other errors are
    /// clients that hung up.
    fn tell_malformed(&self, error: &(dyn Error + 'static)) {
        let Some(error) = error.downcast_ref::<hyper::Error>().filter(|error| error.is_parse()) else { return };
        let mut exchange = Exchange::new("-", "-");
        // What the library has answered; it does not tell.
        let status = match error.is_parse_too_large() {
            true if error.to_string().contains("URI") => StatusCode::URI_TOO_LONG,
            true => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            false => StatusCode::BAD_REQUEST,
        };
        exchange.status = status.as_u16();
        exchange.problem = Some(format!("the request is malformed: {error}"));
        let _ = self.balancer.notices.send(Notice::Exchange(Box::new(exchange)));
    }

    async fn answer(self: Arc<Self>, ends: Ends, request: Request<Incoming>) -> Response<Full<Bytes>> {
        // A task of its own, since a function that was invoked finishes even if the client is gone.
        match tokio::spawn(self.exchange(ends, request)).await {
            Ok(response) => response,
            Err(_) => error_page::page(StatusCode::INTERNAL_SERVER_ERROR).map(Full::new),
        }
    }

    async fn exchange(self: Arc<Self>, ends: Ends, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let started = Instant::now();
        let (mut parts, body) = request.into_parts();
        let method = parts.method.clone();
        let target = parts.uri.path_and_query().map_or_else(|| parts.uri.to_string(), ToString::to_string);
        let mut exchange = Exchange::new(method.as_str(), target);
        exchange.number = self.balancer.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        exchange.listener = self.index;
        exchange.client = Some(ends.peer);
        let response = match self.forward(ends, &mut parts, body, &mut exchange).await {
            Ok(response) => response,
            Err(Refusal { status, reason, problem }) => {
                exchange.elb_reason = reason.map(str::to_owned);
                exchange.problem = Some(problem);
                error_page::page(status)
            }
        };
        let too_soon = response.status() == StatusCode::PAYLOAD_TOO_LARGE && exchange.environment.is_none();
        let mut response = reply::finish(&method, response, &mut exchange.warnings);
        if too_soon && parts.version < http::Version::HTTP_2 {
            // The rest of the body may still be on its way: the connection is of no more use.
            response.headers_mut().insert(header::CONNECTION, http::HeaderValue::from_static("close"));
        }
        exchange.status = response.status().as_u16();
        exchange.response_bytes = hyper::body::Body::size_hint(response.body()).exact().unwrap_or_default() as usize;
        exchange.duration = started.elapsed();
        let _ = self.balancer.notices.send(Notice::Exchange(Box::new(exchange)));
        response
    }

    /// The steps of a request that ends at the function: checks, rule, body, event, invocation, reply.
    async fn forward(
        &self,
        ends: Ends,
        parts: &mut Parts,
        body: Incoming,
        exchange: &mut Exchange,
    ) -> Result<Response<Bytes>, Refusal> {
        limits::check_head(parts)?;
        forwarded::settle_host(parts, ends.local)?;

        let Selected { rule, passed_over, action, .. } = self.rules.select(&view(parts, ends.peer));
        exchange.rule = rule;
        exchange.passed_over = passed_over;
        let Action::Forward(forward) = action else {
            let Action::FixedResponse(fixed) = action else { unreachable!() };
            return Err(Refusal::new(fixed.status, "no rule matches, and the default action is 404"));
        };
        let group = &self.balancer.target_groups[forward.targets[0].group];
        let Some((name, pool)) = &group.function else { unreachable!() };
        let mode = group.settings.mode;
        exchange.function = Some(name.clone());

        limits::check_lambda(parts)?;
        let body = limits::read_body(&parts.headers, parts.version, body, alb::MAX_REQUEST_BODY).await?;
        exchange.request_bytes = body.len();

        forwarded::add_fields(&mut parts.headers, ends.peer, ends.local);
        if mode == HeaderMode::Single {
            exchange.warnings = loss::of_single_mode(parts);
        }
        let event = alb::encode_request(mode, &group.settings.arn, parts, &body)
            .map_err(|error| Refusal::because("LambdaBadRequest", StatusCode::BAD_REQUEST, error.to_string()))?;

        let trace = forwarded::invocation_trace(&parts.headers);
        let invoked = pool.invoke(event.into(), &trace).await;
        exchange.environment = invoked.environment;
        exchange.cold = invoked.cold;
        exchange.request_id = invoked.request_id;
        exchange.memory = invoked.memory;
        let answer = invoked
            .answer
            .map_err(|failure| Refusal::because(failure.reason(), StatusCode::BAD_GATEWAY, failure.to_string()))?;

        let reply = alb::decode_response(mode, &answer).map_err(|error| {
            let problem = format!("the function's reply is malformed: {error}");
            Refusal::because(error.reason(), StatusCode::BAD_GATEWAY, problem)
        })?;
        exchange.warnings.extend(reply.warnings);
        Ok(reply.response)
    }
}

fn view(parts: &Parts, peer: SocketAddr) -> RequestView<'_> {
    RequestView::new(&parts.method, &parts.uri, &parts.headers, Some(peer.ip()))
}
