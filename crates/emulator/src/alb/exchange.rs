//! One request, from its head to the answer: the steps in their order, whatever version of HTTP it came by. Read
//! [`Listener::decide`] and [`Listener::invoke`]. Owns no socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::Bytes;
use crossfade_event::{HeaderMode, alb};
use http::{HeaderValue, Method, Response, StatusCode, header};
use tokio::task::{JoinError, JoinHandle};

use super::error_page::{self, Refusal};
use super::head::Head;
use super::listener::Listener;
use super::rule::Selected;
use super::{action, forwarded, limits, loss, reply, tls, transform};
use crate::{Action, Exchange, Messages, Notice, RuleRef};

/// The two ends of a connection, and what TLS says of the client.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) tls: Option<tls::Session>,
    pub(super) connection: u64,
}

/// What becomes of a request that is not refused.
pub(super) enum Decision {
    /// The load balancer answers itself.
    Answer(Response<Bytes>),
    /// The function is asked.
    Invoke(Invocation),
}

/// Whom to ask, and what to add to the answer.
pub(super) struct Invocation {
    group: usize,
    cookies: Vec<HeaderValue>,
}

pub(super) type Answered = (Box<Exchange>, Response<Bytes>);

impl Listener {
    /// Notes what is known of a request at once.
    pub(super) fn begin(&self, ends: &Ends, head: &Head) -> Box<Exchange> {
        let text = |name| head.headers.get(name).map(|value: &HeaderValue| lossy(value.as_bytes())).unwrap_or_default();
        let mut exchange = self.numbered(ends, Exchange::new(head.method.as_str(), lossy(&head.target)));
        exchange.version = head.version_text();
        exchange.user_agent = text(header::USER_AGENT);
        let authority = head.authority.as_deref().and_then(|authority| authority.rsplit('@').next());
        exchange.host = authority.map_or_else(|| text(header::HOST), str::to_owned);
        exchange.warnings = head.warnings.clone();
        if ends.tls.as_ref().is_some_and(|session| session.is_http2) || head.version == http::Version::HTTP_2 {
            exchange.kind = "h2";
        }
        if self.balancer().keep_messages {
            let messages = Messages { request_fields: head.headers.clone(), ..Messages::default() };
            exchange.messages = Some(Box::new(messages));
        }
        exchange
    }

    fn numbered(&self, ends: &Ends, exchange: Exchange) -> Box<Exchange> {
        Box::new(Exchange {
            number: self.balancer().last_number.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
            time: SystemTime::now(),
            listener: self.index(),
            kind: if ends.tls.is_some() { "https" } else { "http" },
            client: Some(ends.peer),
            local: Some(ends.local),
            connection: ends.connection,
            tls: ends.tls.as_ref().map(|session| session.info.clone()),
            ..exchange
        })
    }

    /// The steps that need no body: checks, host, rule, action, transforms.
    pub(super) fn decide(&self, ends: &Ends, head: &mut Head, exchange: &mut Exchange) -> Result<Decision, Refusal> {
        let attributes = &self.balancer().attributes;
        exchange.rule = RuleRef::None;
        limits::check_head(head)?;
        forwarded::settle_host(head, attributes.preserve_host_header, self.port(), ends.local)?;
        exchange.host = head.headers.get(header::HOST).map(|host| lossy(host.as_bytes())).unwrap_or_default();
        if attributes.drop_invalid_header_fields {
            limits::drop_invalid_fields(&mut head.headers, &mut exchange.warnings);
        }

        let Selected { rule, passed_over, transforms, action } = self.rules().select(&head.view(ends.peer.ip()));
        exchange.rule = rule;
        exchange.passed_over = passed_over;
        match action {
            Action::FixedResponse(fixed) => {
                exchange.actions.push("fixed-response");
                Ok(Decision::Answer(action::fixed(fixed)))
            }
            Action::Redirect(redirect) => {
                exchange.actions.push("redirect");
                let (response, location) = action::redirect(redirect, head, ends)?;
                exchange.warnings.extend(self.balancer().other_port(&location, ends.local.port()));
                exchange.redirect = Some(location);
                Ok(Decision::Answer(response))
            }
            Action::Forward(forward) => {
                let name = rule.to_string();
                let chosen = action::choose(forward, &name, &self.balancer().seal, &head.headers)?;
                if let Some(transforms) = transforms {
                    match transform::apply(transforms, head, &mut exchange.warnings) {
                        Ok(None) => {}
                        Ok(transformed) => {
                            exchange.actions.push("rewrite");
                            exchange.transformed = transformed;
                        }
                        Err((transformed, refusal)) => {
                            exchange.actions.push("rewrite");
                            exchange.transformed = Some(transformed);
                            return Err(refusal);
                        }
                    }
                }
                exchange.actions.push("forward");
                exchange.target_group = self.balancer().group(chosen.group).map(|group| group.settings.arn.clone());
                limits::check_lambda(head.version, &head.headers)?;
                Ok(Decision::Invoke(Invocation { group: chosen.group, cookies: chosen.cookies }))
            }
        }
    }

    /// The steps from the whole request to the function's answer: fields, event, invocation, reply.
    pub(super) async fn invoke(
        self: Arc<Self>,
        ends: Arc<Ends>,
        mut head: Head,
        body: Bytes,
        invocation: Invocation,
        mut exchange: Box<Exchange>,
    ) -> Answered {
        exchange.request_bytes = body.len();
        match self.try_invoke(&ends, &mut head, body, &invocation, &mut exchange).await {
            Ok(mut response) => {
                exchange.target_status = Some(response.status().as_u16());
                for cookie in invocation.cookies {
                    response.headers_mut().append(header::SET_COOKIE, cookie);
                }
                (exchange, response)
            }
            Err(refusal) => {
                let response = self.refuse(&mut exchange, refusal);
                (exchange, response)
            }
        }
    }

    async fn try_invoke(
        &self,
        ends: &Ends,
        head: &mut Head,
        body: Bytes,
        invocation: &Invocation,
        exchange: &mut Exchange,
    ) -> Result<Response<Bytes>, Refusal> {
        let no_target = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the target group has no registered target");
        let group = self.balancer().group(invocation.group).ok_or_else(no_target)?;
        let (function, pool) = group.function.as_ref().ok_or_else(no_target)?;
        exchange.function = Some(function.clone());
        if let Some(messages) = &mut exchange.messages {
            messages.request_body = body.clone();
        }

        forwarded::add_fields(&mut head.headers, &self.balancer().attributes, ends);
        exchange.trace_id = forwarded::trace_of(&head.headers);
        let mode = group.settings.mode;
        if mode == HeaderMode::Single {
            exchange.warnings.extend(loss::of_single_mode(head));
        }
        let event: Bytes = alb::encode_request(mode, &group.settings.arn, head.line(), &head.headers, &body)
            .map_err(|error| Refusal::because("LambdaBadRequest", StatusCode::BAD_REQUEST, error.to_string()))?
            .into();
        if let Some(messages) = &mut exchange.messages {
            messages.event = Some(event.clone());
        }

        let trace = forwarded::invocation_trace(&head.headers);
        let asked = exchange.started.elapsed();
        let invoked = pool.invoke(event, &trace).await;
        exchange.target_times = Some((asked, exchange.started.elapsed()));
        exchange.environment = invoked.environment;
        exchange.cold = invoked.cold;
        exchange.request_id = invoked.request_id;
        exchange.memory = invoked.memory;
        let answer = invoked
            .answer
            .map_err(|failure| Refusal::because(failure.reason(), StatusCode::BAD_GATEWAY, failure.to_string()))?;
        if let Some(messages) = &mut exchange.messages {
            messages.reply = Some(answer.clone());
        }

        let reply = alb::decode_response(mode, &answer).map_err(|error| {
            let problem = format!("the function's reply is malformed: {error}");
            Refusal::because(error.reason(), StatusCode::BAD_GATEWAY, problem)
        })?;
        exchange.warnings.extend(reply.warnings);
        Ok(reply.response)
    }

    /// The load balancer's own answer to what it refuses.
    pub(super) fn refuse(&self, exchange: &mut Exchange, refusal: Refusal) -> Response<Bytes> {
        let Refusal { status, reason, problem } = refusal;
        exchange.elb_reason = reason.map(str::to_owned);
        exchange.problem = Some(problem);
        error_page::page(status)
    }

    /// The answer to what is no request.
    pub(super) fn malformed(&self, ends: &Ends, refusal: Refusal) -> Answered {
        let mut exchange = self.numbered(ends, Exchange::new("-", "-"));
        exchange.rule = RuleRef::None;
        let response = self.refuse(&mut exchange, refusal);
        (exchange, response)
    }

    /// The answer if a step panics, which none should.
    pub(super) fn broken(&self, ends: &Ends) -> Answered {
        self.malformed(ends, Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the emulator has failed; this is a bug"))
    }

    /// Tells of a request whose client is gone: 460 in the access log, whatever the function answers.
    pub(super) async fn left(self: Arc<Self>, invocation: JoinHandle<Answered>) {
        let answered: Result<Answered, JoinError> = invocation.await;
        if let Ok((mut exchange, mut response)) = answered {
            exchange.problem = Some("the client closed the connection before it had an answer".to_owned());
            exchange.elb_reason = None;
            *response.body_mut() = Bytes::new();
            *response.status_mut() = StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST);
            self.tell(exchange, response);
        }
    }

    /// Gives an answer its last touch.
    pub(super) fn finish(
        &self,
        exchange: &mut Exchange,
        method: &Method,
        mut response: Response<Bytes>,
    ) -> Response<Bytes> {
        reply::finish(self.attributes(), method, &mut response, &mut exchange.warnings);
        response
    }

    /// Says what happened.
    pub(super) fn tell(&self, mut exchange: Box<Exchange>, response: Response<Bytes>) {
        exchange.status = response.status().as_u16();
        exchange.response_bytes = response.body().len();
        exchange.duration = exchange.started.elapsed();
        if let Some(messages) = &mut exchange.messages {
            let (parts, body) = response.into_parts();
            messages.response_fields = parts.headers;
            messages.response_body = body;
        }
        let _ = self.balancer().notices.send(Notice::Exchange(exchange));
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
