//! The control surface over a real database, a real journal and the embedded directory.

mod access;
mod audit;
mod catalog;
mod cookies;
mod credentials;
mod delegation;
mod errors;
mod login;
mod openapi;
mod rig;
