//! Live state as the function uses it: the overlay that changes a configuration without a deployment (`CROSSFADE_LIVE`), and the
//! invocations that move a migration.
//!
//! And the bucket for responses that the front end cannot carry (`spill`), which is reached in the same way.
//!
//! Owns the stores, when they are read, what counts as a change, and what a schedule or an alarm does. Opens no connection: the
//! caller brings clients, the environment's variables and the configuration, and applies the overlay. A crate of its own, since
//! none of it runs for most requests: it is compiled for size, and its futures are boxed, so that they are compiled here.
//!
//! Reading order: `live` (reads and writes), `source` (the place and what its responses mean), `write`; `notice` and `act`. `spill` stands alone.

mod act;
mod aws;
mod credentials;
mod file_version;
mod live;
mod logs;
mod notice;
mod sign;
mod source;
mod spill;
mod write;

use std::pin::Pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};

pub use act::{InUse, Outcome};
pub use file_version::FileVersion;
pub use live::{AFTERWARDS, AT_START, Change, Live, LiveError};
pub use notice::{Alarm, Notice};
pub use source::{Environment, Remote, Source};
pub use spill::{Broken, Content, Spill, SpillError, Stored};

/// A future that is compiled where it is made.
pub type Task<'t, T> = Pin<Box<dyn Future<Output = T> + Send + 't>>;

/// Sends requests to one origin.
pub trait Client: Send + Sync {
    /// Sends a request within the limit. Returns the whole response, or the reason why there is none.
    fn send(
        &self,
        request: Request<Bytes>,
        limit: Duration,
        now: SystemTime,
    ) -> Task<'_, Result<Response<Bytes>, String>>;
}

/// Makes the client of an origin, or says why that cannot work.
pub type Connect = Box<dyn Fn(&str) -> Result<Box<dyn Client>, String> + Send + Sync>;
