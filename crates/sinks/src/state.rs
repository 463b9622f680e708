//! How the sinks do: for `/readyz` and metrics.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How one sink does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SinkState {
    /// Why it does not take lines; `None` while it does, or another replica feeds it.
    pub error: Option<String>,
}

/// How all do, by name.
#[derive(Clone, Default)]
pub struct SinkStates(Arc<Mutex<BTreeMap<String, SinkState>>>);

impl SinkStates {
    /// Each sink's state.
    pub fn all(&self) -> BTreeMap<String, SinkState> {
        self.0.lock().clone()
    }

    pub(crate) fn set(&self, name: &str, state: SinkState) {
        self.0.lock().insert(name.to_owned(), state);
    }
}
