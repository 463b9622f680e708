//! No chain at all: what the upstream and the load generator themselves take.

use anyhow::Result;

use super::{Chain, Running, Site};
use crate::load::Target;

pub struct Direct;

impl Chain for Direct {
    fn name(&self) -> String {
        "direct".to_owned()
    }

    fn checks_credentials(&self) -> bool {
        false
    }

    fn start(&self, site: &Site<'_>) -> Result<Running> {
        Ok(Running::new(Target::new(site.upstream, "", Vec::new())?, Vec::new()))
    }
}
