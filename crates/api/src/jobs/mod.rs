//! Jobs and their runs. Policy is asked here, about the job or folder that a call names; a run takes its job's rights.

mod bulk;
mod control;
mod edit;
mod events;
mod items;
mod list;
mod preview;
mod right;
mod runs;
mod shape;
mod source;

pub(crate) use bulk::*;
pub(crate) use control::*;
pub(crate) use edit::*;
pub(crate) use events::*;
pub(crate) use items::*;
pub(crate) use list::*;
pub(crate) use preview::*;
pub(crate) use runs::*;
