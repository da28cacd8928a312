//! One request from its head to its response: the steps in their order, for every version of HTTP. Read
//! [`Listener::decide`] and [`Listener::invoke`]. Owns no socket.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use crossfade_event::{HeaderMode, alb};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tokio::task::{JoinError, JoinHandle};

use super::connection_info::ConnectionInfo;
use super::error_page::{self, Refusal};
use super::listener::Listener;
use super::rule::Selected;
use super::{action, forwarded, limits, loss, reply, request, transform};
use crate::http::Head;
use crate::{Action, Exchange, Messages, Notice, RuleRef};

/// The next step of a request that is not refused.
pub(super) enum Decision {
    /// The load balancer's own response.
    Respond(Response<Bytes>),
    /// Invoke the function of a target group.
    Invoke(ForwardTarget),
}

/// The target group that a request is forwarded to, and the `Set-Cookie` fields to add to the response.
pub(super) struct ForwardTarget {
    group: usize,
    cookies: Vec<HeaderValue>,
}

pub(super) type Answered = (Box<Exchange>, Response<Bytes>);

impl Listener {
    /// Returns a new exchange with everything that the head says.
    pub(crate) fn begin(&self, connection: &ConnectionInfo, head: &Head) -> Box<Exchange> {
        let text = |name| head.headers.get(name).map(|value: &HeaderValue| lossy(value.as_bytes())).unwrap_or_default();
        let mut exchange = self.numbered(connection, Exchange::new(head.method.as_str(), lossy(&head.target)));
        exchange.version = head.version_text();
        exchange.user_agent = text(header::USER_AGENT);
        let authority = head.authority.as_deref().and_then(|authority| authority.rsplit('@').next());
        exchange.host = authority.map_or_else(|| text(header::HOST), str::to_owned);
        exchange.warnings = vec![loss::FOLDED_LINE.to_owned(); head.folded_lines];
        if connection.tls.as_ref().is_some_and(|session| session.is_http2) || head.version == http::Version::HTTP_2 {
            exchange.kind = "h2";
        }
        if self.balancer().keep_messages {
            let messages = Messages { request_fields: head.headers.clone(), ..Messages::default() };
            exchange.messages = Some(Box::new(messages));
        }
        exchange
    }

    fn numbered(&self, connection: &ConnectionInfo, exchange: Exchange) -> Box<Exchange> {
        Box::new(Exchange {
            number: self.balancer().exchanges.next_number(),
            generation: self.balancer().exchanges.generation,
            time: SystemTime::now(),
            listener: self.index(),
            kind: if connection.tls.is_some() { "https" } else { "http" },
            client: Some(connection.peer),
            local: Some(connection.local),
            connection: connection.id,
            tls: connection.tls.as_ref().map(|session| session.info.clone()),
            ..exchange
        })
    }

    /// Performs the steps that need no body: checks, host, rule, action, transforms.
    pub(super) fn decide(
        &self,
        connection: &ConnectionInfo,
        head: &mut Head,
        exchange: &mut Exchange,
    ) -> Result<Decision, Refusal> {
        let attributes = &self.balancer().attributes;
        exchange.rule = RuleRef::None;
        limits::check_head(head)?;
        forwarded::settle_host(head, attributes.preserve_host_header, self.port(), connection.local)?;
        exchange.host = head.headers.get(header::HOST).map(|host| lossy(host.as_bytes())).unwrap_or_default();
        if attributes.drop_invalid_header_fields {
            limits::drop_invalid_fields(&mut head.headers, &mut exchange.warnings);
        }

        let view = request::view(head, connection.peer.ip());
        exchange.normalised_path = matches!(view.path, Cow::Owned(_)).then(|| lossy(&view.path));
        let Selected { rule, skipped, transforms, action } = self.rules().select(&view);
        exchange.rule = rule;
        exchange.skipped = skipped;
        match action {
            Action::FixedResponse(fixed) => {
                exchange.actions.push("fixed-response");
                Ok(Decision::Respond(action::fixed(fixed)))
            }
            Action::Redirect(redirect) => {
                exchange.actions.push("redirect");
                let (response, location) = action::redirect(redirect, head, connection)?;
                exchange.warnings.extend(self.balancer().other_port(&location, connection.local.port()));
                exchange.redirect = Some(location);
                Ok(Decision::Respond(response))
            }
            Action::Forward(forward) => {
                let name = rule.to_string();
                let chosen = action::choose(forward, &name, &self.balancer().exchanges.cookie_signer, &head.headers)?;
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
                Ok(Decision::Invoke(ForwardTarget { group: chosen.group, cookies: chosen.cookies }))
            }
        }
    }

    /// Performs the steps from the whole request to the function's response: fields, event, invocation, reply.
    pub(super) async fn invoke(
        self: Arc<Self>,
        connection: Arc<ConnectionInfo>,
        mut head: Head,
        body: Bytes,
        target: ForwardTarget,
        mut exchange: Box<Exchange>,
    ) -> Answered {
        exchange.request_bytes = body.len();
        match self.try_invoke(&connection, &mut head, body, &target, &mut exchange).await {
            Ok(mut response) => {
                exchange.target_status = Some(response.status().as_u16());
                for cookie in target.cookies {
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
        connection: &ConnectionInfo,
        head: &mut Head,
        body: Bytes,
        target: &ForwardTarget,
        exchange: &mut Exchange,
    ) -> Result<Response<Bytes>, Refusal> {
        let no_target = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the target group has no registered target");
        let group = self.balancer().group(target.group).ok_or_else(no_target)?;
        let (function, pool) = group.function.as_ref().ok_or_else(no_target)?;
        exchange.function = Some(function.clone());
        if let Some(messages) = &mut exchange.messages {
            messages.request_body = body.clone();
        }

        forwarded::add_fields(&mut head.headers, &self.balancer().attributes, connection);
        exchange.trace_id = forwarded::trace_of(&head.headers);
        let mode = group.settings.mode;
        if mode == HeaderMode::Single {
            exchange.warnings.extend(loss::of_single_mode(head));
        }
        let event: Bytes = alb::encode_request(mode, &group.settings.arn, request::line(head), &head.headers, &body)
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
        let answer = match invoked.answer {
            Ok(answer) => answer.whole().await,
            Err(failure) => Err(failure),
        };
        let answer = answer
            .map_err(|failure| Refusal::because(failure.reason(), StatusCode::BAD_GATEWAY, failure.to_string()))?;
        if let Some(messages) = &mut exchange.messages {
            messages.reply = Some(answer.clone());
        }

        let reply = alb::decode_response(mode, &answer).map_err(|error| {
            let problem = format!("the function's reply is malformed: {error}");
            Refusal::because(error.reason(), StatusCode::BAD_GATEWAY, problem)
        })?;
        exchange.reply_warnings = reply.warnings.len();
        exchange.warnings.extend(reply.warnings);
        Ok(reply.response)
    }

    /// Notes a refusal, and returns the load balancer's own response.
    pub(super) fn refuse(&self, exchange: &mut Exchange, refusal: Refusal) -> Response<Bytes> {
        let Refusal { status, reason, problem } = refusal;
        exchange.elb_reason = reason.map(str::to_owned);
        exchange.problem = Some(problem);
        error_page::page(status)
    }

    /// Returns the exchange of a request that could not be read.
    pub(crate) fn unreadable(&self, connection: &ConnectionInfo) -> Box<Exchange> {
        let mut exchange = self.numbered(connection, Exchange::new("-", "-"));
        exchange.rule = RuleRef::None;
        exchange
    }

    /// Returns the response to a request that could not be read.
    pub(super) fn malformed(&self, connection: &ConnectionInfo, refusal: Refusal) -> Answered {
        let mut exchange = self.unreadable(connection);
        let response = self.refuse(&mut exchange, refusal);
        (exchange, response)
    }

    /// Returns the response if a step panics, which is a bug.
    pub(super) fn broken(&self, connection: &ConnectionInfo) -> Answered {
        self.malformed(
            connection,
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the emulator failed; this is a bug"),
        )
    }

    /// Reports a request whose client has left: 460 in the access log, whatever the function returns.
    pub(super) async fn client_left(self: Arc<Self>, invocation: JoinHandle<Answered>) {
        let answered: Result<Answered, JoinError> = invocation.await;
        if let Ok((mut exchange, mut response)) = answered {
            exchange.problem = Some("the client closed the connection before it had a response".to_owned());
            exchange.elb_reason = None;
            *response.body_mut() = Bytes::new();
            *response.status_mut() = StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST);
            self.notify(exchange, response);
        }
    }

    /// Completes a response's fields.
    pub(super) fn finish(
        &self,
        exchange: &mut Exchange,
        method: &Method,
        mut response: Response<Bytes>,
    ) -> Response<Bytes> {
        let before = exchange.warnings.len();
        reply::finish(self.attributes(), method, &mut response, &mut exchange.warnings);
        let added = exchange.warnings.len().saturating_sub(before);
        exchange.reply_warnings = exchange.reply_warnings.saturating_add(added);
        response
    }

    /// Sends the notice of a completed exchange.
    pub(super) fn notify(&self, exchange: Box<Exchange>, response: Response<Bytes>) {
        let (parts, body) = response.into_parts();
        let length = body.len();
        self.report(exchange, parts.status.as_u16(), parts.headers, body, length);
    }

    /// Likewise for a response whose content of `length` bytes may be longer than the part of it that is shown.
    pub(crate) fn report(
        &self,
        mut exchange: Box<Exchange>,
        status: u16,
        fields: HeaderMap,
        shown: Bytes,
        length: usize,
    ) {
        exchange.status = status;
        exchange.response_bytes = length;
        exchange.duration = exchange.started.elapsed();
        if let Some(messages) = &mut exchange.messages {
            messages.response_fields = fields;
            messages.response_body = shown;
        }
        let _ = self.balancer().notices.send(Notice::Exchange(exchange));
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
