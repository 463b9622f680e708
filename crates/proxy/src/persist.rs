//! Work that goes on when whoever asked for it is gone: a request that has left may be answered yet.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long an answer is waited for when nobody wants it any more.
const PATIENCE: Duration = Duration::from_secs(60);

type Orphan = Pin<Box<dyn Future<Output = ()>>>;

/// Takes in work whose owner is gone, on one server thread.
#[derive(Clone)]
pub(crate) struct Orphans(mpsc::UnboundedSender<Orphan>);

impl Orphans {
    /// Starts on the present thread's local set; ends when all handles are gone.
    pub(crate) fn start() -> Self {
        let (sender, mut orphans) = mpsc::unbounded_channel::<Orphan>();
        tokio::task::spawn_local(async move {
            while let Some(orphan) = orphans.recv().await {
                tokio::task::spawn_local(tokio::time::timeout(PATIENCE, orphan));
            }
        });
        Self(sender)
    }
}

/// A future that, dropped before its end, is finished by [`Orphans`]; its output is then dropped.
pub(crate) struct Persist<F: Future + 'static> {
    work: Option<Pin<Box<F>>>,
    orphans: Orphans,
}

impl<F: Future + 'static> Persist<F> {
    pub(crate) fn new(work: F, orphans: &Orphans) -> Self {
        Self { work: Some(Box::pin(work)), orphans: orphans.clone() }
    }
}

impl<F: Future + 'static> Future for Persist<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let done = work.as_mut().poll(cx);
        if done.is_ready() {
            self.work = None;
        }
        done
    }
}

impl<F: Future + 'static> Drop for Persist<F> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            // Fails only at the end of the thread, when nothing goes on.
            let _ = self.orphans.0.send(Box::pin(async move {
                work.await;
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_finished() {
        let local = tokio::task::LocalSet::new();
        let told = Rc::new(Cell::new(0));
        let seen = told.clone();
        local
            .run_until(async move {
                let orphans = Orphans::start();
                let (go, wait) = tokio::sync::oneshot::channel::<()>();
                let work = async move {
                    let _ = wait.await;
                    seen.set(seen.get() + 1);
                };
                let mut work = Box::pin(Persist::new(work, &orphans));
                assert!(futures_now(work.as_mut()).await.is_none());
                drop(work);
                go.send(()).unwrap();
                while told.get() == 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
    }

    async fn futures_now<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|cx| {
            Poll::Ready(match Pin::new(&mut future).poll(cx) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            })
        })
        .await
    }
}
