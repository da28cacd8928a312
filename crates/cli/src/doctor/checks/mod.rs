//! The checks, by what they look at: the function, the way of a request to it, and its operation.

pub(super) mod function;
pub(super) mod operations;
pub(super) mod traffic;
