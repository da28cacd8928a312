//! AWS as the function's role reaches it: region, credentials and signed requests. Owns what a service's complaints about a
//! signature teach: another clock, and credentials that have expired. The requests are the callers'.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::DATE;
use http::{Request, Response};

use crate::credentials::{self, Expiring, Provider};
use crate::live::{LONGEST, LiveError};
use crate::sign::{Credentials, Scope, presigned, sign};
use crate::source::Environment;
use crate::{Client, Connect};

/// Services accept a clock that is wrong by five minutes or more (S3: 15).
const TOLERATED: Duration = Duration::from_secs(4 * 60);

/// A role with its region.
pub(crate) struct Aws {
    pub(crate) region: String,
    provider: Provider,
    /// For the endpoint that has the credentials, if they are not in the environment.
    endpoint: Option<Box<dyn Client>>,
    learned: Mutex<Learned>,
}

/// All that is known from earlier requests.
#[derive(Debug, Default)]
struct Learned {
    credentials: Option<Expiring>,
    /// The clock of the services, if it differs: the difference, and whether it is ahead of ours.
    clock: Option<(Duration, bool)>,
}

impl Aws {
    /// Finds region and credentials. Sends nothing.
    pub(crate) fn find(environment: Environment<'_>, connect: &Connect) -> Result<Aws, LiveError> {
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(environment);
        let region = region.ok_or_else(|| LiveError("`AWS_REGION` is not set".to_owned()))?;
        let provider = Provider::find(environment)
            .ok_or_else(|| LiveError("there are no credentials in the environment".to_owned()))?;
        let endpoint = match &provider {
            Provider::Environment(_) => None,
            Provider::Container { url, .. } => Some(connect(origin(url)).map_err(LiveError)?),
        };
        Ok(Aws { region, provider, endpoint, learned: Mutex::default() })
    }

    /// Signs a request and sends it; once more if the response shows that the signature had the wrong time, or credentials that
    /// have expired.
    pub(crate) async fn send(
        &self,
        client: &dyn Client,
        service: &str,
        request: Request<Bytes>,
        now: SystemTime,
    ) -> Result<Response<Bytes>, String> {
        let (parts, body) = request.into_parts();
        let mut is_last = false;
        loop {
            let credentials = self.credentials(now).await?;
            let time = self.learned().time(now);
            let mut signed = parts.clone();
            let scope = Scope { region: &self.region, service };
            sign(&mut signed, &body, &credentials, scope, time)
                .map_err(|_| "the credentials are not valid".to_owned())?;
            let response = client.send(Request::from_parts(signed, body.clone()), LONGEST, now).await?;
            if is_last || !self.learned().learn(&response, time, now) {
                return Ok(response);
            }
            is_last = true;
        }
    }

    /// Returns the query of a link to a path of S3 for so many seconds.
    pub(crate) async fn link(&self, place: (&str, &str), seconds: u64, now: SystemTime) -> Result<String, String> {
        let credentials = self.credentials(now).await?;
        let scope = Scope { region: &self.region, service: "s3" };
        Ok(presigned(place, &credentials, scope, self.learned().time(now), seconds))
    }

    async fn credentials(&self, now: SystemTime) -> Result<Credentials, String> {
        if let Some(known) = self.learned().credentials.as_ref().filter(|known| known.are_good(now)) {
            return Ok(known.credentials.clone());
        }
        let fresh = match (&self.provider, &self.endpoint) {
            (Provider::Environment(credentials), _) => Expiring::forever(credentials.clone()),
            (Provider::Container { url, token }, Some(client)) => {
                let request = credentials::request(url, token.as_deref()).map_err(|error| error.to_string())?;
                credentials::credentials(&client.send(request, LONGEST, now).await?)?
            }
            _ => return Err("there are no credentials".to_owned()),
        };
        Ok(self.learned().credentials.insert(fresh).credentials.clone())
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Learned {
    /// The time for a signature.
    fn time(&self, now: SystemTime) -> SystemTime {
        match self.clock {
            None => Some(now),
            Some((by, true)) => now.checked_add(by),
            Some((by, false)) => now.checked_sub(by),
        }
        .unwrap_or(now)
    }

    /// Returns `true` if the same request, signed anew, may succeed.
    fn learn(&mut self, response: &Response<Bytes>, signed: SystemTime, now: SystemTime) -> bool {
        if !response.status().is_client_error() {
            return false;
        }
        if let Some(date) = date(response)
            && difference(date, signed).0 > TOLERATED
        {
            self.clock = Some(difference(date, now));
            return true;
        }
        let has_expired = response.body().windows(b"ExpiredToken".len()).any(|word| word == b"ExpiredToken");
        has_expired && self.credentials.take().is_some_and(|known| known.expires())
    }
}

/// The difference between two times, and whether the first is later.
fn difference(one: SystemTime, other: SystemTime) -> (Duration, bool) {
    match one.duration_since(other) {
        Ok(later) => (later, true),
        Err(earlier) => (earlier.duration(), false),
    }
}

/// The time of a response by the clock of the service.
pub(crate) fn date(response: &Response<Bytes>) -> Option<SystemTime> {
    parse_date(response.headers().get(DATE)?.to_str().ok()?)
}

/// Parses `Sat, 28 Nov 2026 12:00:00 GMT` (RFC 9110 section 5.6.7).
fn parse_date(text: &str) -> Option<SystemTime> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let [_, day, month, year, time, "GMT"] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
    let month = MONTHS
        .find(month)
        .filter(|at| month.len() == 3 && at.checked_rem(3) == Some(0))?
        .checked_div(3)?
        .checked_add(1)?;
    humantime::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

/// Returns the scheme and the authority of a URL.
fn origin(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |at| at + "://".len());
    let end = url.get(begin..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| begin + at);
    url.get(..end).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn dates() {
        assert_eq!(parse_date("Sat, 28 Nov 2026 12:00:00 GMT"), Some(at("2026-11-28T12:00:00Z")));
        for wrong in
            ["", "Sat, 28 anF 2026 12:00:00 GMT", "Sat, 28 Nov 2026 12:00:00 CET", "Saturday, 28-Nov-26 12:00:00 GMT"]
        {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_clock_of_the_service_counts() {
        let now = at("2026-11-28T12:00:00Z");
        let response =
            |status: u16, date: &str| Response::builder().status(status).header(DATE, date).body(Bytes::new()).unwrap();
        for (status, date, learns, time) in [
            (403, "Sat, 28 Nov 2026 13:00:00 GMT", true, "2026-11-28T13:00:00Z"),
            (400, "Sat, 28 Nov 2026 11:00:00 GMT", true, "2026-11-28T11:00:00Z"),
            (403, "Sat, 28 Nov 2026 12:01:00 GMT", false, "2026-11-28T12:00:00Z"),
            (503, "Sat, 28 Nov 2026 13:00:00 GMT", false, "2026-11-28T12:00:00Z"),
            (403, "yesterday", false, "2026-11-28T12:00:00Z"),
        ] {
            let mut learned = Learned::default();
            assert_eq!(learned.learn(&response(status, date), now, now), learns, "{status} {date}");
            assert_eq!(learned.time(now), at(time), "{status} {date}");
        }
    }
}
