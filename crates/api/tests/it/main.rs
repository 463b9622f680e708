//! The control surface over a real database, a real journal and the embedded directory.

// Named test modules, so that lints know their plain functions for test code too.
#[cfg(test)]
mod access;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod collections;
#[cfg(test)]
mod cookies;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod delegation;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod export;
#[cfg(test)]
mod login;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod tail;
#[cfg(test)]
mod ui;
