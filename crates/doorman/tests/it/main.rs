//! The real binary, from outside: what it prints, what it sends, how it exits.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it fails, in its helpers too"
)]

#[cfg(test)]
mod audit;
#[cfg(test)]
mod config;
#[cfg(test)]
mod curl;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod help;
#[cfg(test)]
mod local;
#[cfg(test)]
mod request;
#[cfg(test)]
mod session;
#[cfg(test)]
mod shell;
#[cfg(test)]
mod smoke;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod world;
