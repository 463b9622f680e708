//! Runs hyper's connection tasks on the thread that they were made on.

use std::future::Future;

/// A hyper executor over `tokio::task::spawn_local`. Only to be used within a server thread.
#[derive(Clone, Copy, Debug)]
pub struct LocalExec;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExec {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}
