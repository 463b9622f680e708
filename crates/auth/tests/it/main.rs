//! Tests of logins and tokens against real and embedded directories and databases.

#[cfg(test)]
mod directory;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lockout;
#[cfg(test)]
mod password;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod samba;
#[cfg(test)]
mod service;
#[cfg(test)]
mod session;
#[cfg(test)]
mod token;
