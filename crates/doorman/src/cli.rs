//! x
pub struct DemoArgs;
