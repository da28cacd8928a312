//! A listener as its requests see it: rules, attributes, TLS. Accepts no connection (`accept`).

use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::TlsAcceptor;

use super::balancer::Balancer;
use super::rule::Rules;
use super::tls;
use crate::lambda::Pool;
use crate::{Endpoint, ListenerAttributes, MutualAuthentication};

pub(crate) struct Listener {
    index: usize,
    port: Option<u16>,
    rules: Rules,
    attributes: ListenerAttributes,
    tls: Option<(TlsAcceptor, MutualAuthentication)>,
    /// The front end that this listener stands in for, unless it is the load balancer.
    endpoint: Option<Arc<Endpoint>>,
    balancer: Arc<Balancer>,
}

impl Listener {
    /// `index` is that of the listener in the settings.
    ///
    /// # Errors
    ///
    /// A message about a certificate, key or trust store that cannot be used.
    pub(crate) fn new(index: usize, settings: crate::Listener, balancer: Arc<Balancer>) -> Result<Self, String> {
        let tls = match settings.tls {
            Some(tls) => {
                let http2 = balancer.attributes.http2 && settings.endpoint.is_none();
                let config = tls::server_config(&tls, http2)?;
                Some((TlsAcceptor::from(Arc::new(config)), tls.mutual))
            }
            None => None,
        };
        let rules = Rules::new(settings.rules, settings.default_action);
        let endpoint = settings.endpoint.map(Arc::new);
        Ok(Self { index, port: settings.port, rules, attributes: settings.attributes, tls, endpoint, balancer })
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// The listener's port in AWS, if the settings name it.
    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn attributes(&self) -> &ListenerAttributes {
        &self.attributes
    }

    pub(super) fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        self.endpoint.as_ref()
    }

    /// A function by its index in the settings: its name, its Region, its environments.
    pub(crate) fn function(&self, index: usize) -> Option<(&str, String, &Arc<Pool>)> {
        self.balancer.function(index)
    }

    /// The longest time without a byte in either direction of a connection.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.balancer.attributes.idle_timeout
    }

    pub(super) fn balancer(&self) -> &Balancer {
        &self.balancer
    }

    /// The acceptor of an HTTPS listener, and how it authenticates clients.
    pub(super) fn tls(&self) -> Option<(&TlsAcceptor, &MutualAuthentication)> {
        self.tls.as_ref().map(|(acceptor, mutual)| (acceptor, mutual))
    }
}
