//! Crossfade beside Node handlers and hand-made floors: the same requests, on the same machine, in the same rounds.
//!
//! Ten instruments share this package. `run` measures; `front_cost` compares front ends; `streaming` measures streamed responses; `routes` counts what routes cost; `mirror` measures what a mirror does
//! to the client; `live` measures how soon a change of live state takes effect; `emulator` looks at the local ALB itself, beside `serverless-offline`; `budget` holds the shipped binary to a few counts; `soak` looks for what goes wrong in a long time; `conformance` sends the same raw requests through the local ALB to
//! each function and compares, byte for byte, what the origin received and what the client got. Owns nothing that ships.

pub mod at_once;
pub mod budget;
pub mod certificate;
pub mod cold;
pub mod compare;
pub mod conformance;
pub mod counts;
pub mod emulator;
pub mod front_cost;
pub mod function;
pub mod live;
pub mod mirror;
pub mod process;
pub mod raw;
pub mod report;
pub mod routes;
pub mod run;
pub mod runtime_api;
pub mod soak;
pub mod streaming;
pub mod warm;
pub mod workload;
