//! Jobs, their inputs and their runs. What a definition or a plan says is text here; which state follows another is
//! decided elsewhere. Here it is made durable, once.

mod chunk;
mod definition;
mod input;
mod item;
mod run;

pub use chunk::{Chunk, ChunkItem, HolderShare};
pub use definition::{EditRow, JobRow};
pub use input::{InputAbout, InputRow};
pub use item::{Item, ItemFilter};
pub use run::{RunFilter, RunRow, RunStep};
