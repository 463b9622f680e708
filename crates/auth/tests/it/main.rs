//! Tests of logins and tokens against real and embedded directories and databases.

#[cfg(test)]
mod directory;
