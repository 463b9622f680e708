//! The environment as the configuration sees it, handed in so that tests have their own.

/// Variables that begin with this are settings: `DOORMAN__SERVER__LISTEN` is `listen` in `[server]`.
const PREFIX: &str = "DOORMAN__";

/// The variables that override settings.
#[derive(Clone, Default)]
pub struct Environment(Vec<(String, String)>);

/// One setting from the environment.
pub struct Override<'a> {
    /// The variable's name.
    pub variable: &'a str,
    /// The keys from the top of the file.
    pub keys: Vec<String>,
    /// The text.
    pub value: &'a str,
}

impl Environment {
    /// Takes the settings out of all variables. What is not UTF-8 is no setting.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut settings: Vec<_> =
            variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        settings.sort();
        Self(settings)
    }

    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::new(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// The text of one setting, if it is set.
    pub fn setting(&self, keys: &[&str]) -> Option<&str> {
        self.overrides().find(|setting| setting.keys == keys).map(|setting| setting.value)
    }

    /// The overrides in the order of their names.
    pub fn overrides(&self) -> impl Iterator<Item = Override<'_>> {
        self.0.iter().map(|(variable, value)| Override {
            variable,
            keys: variable
                .get(PREFIX.len()..)
                .unwrap_or_default()
                .split("__")
                .map(str::to_ascii_lowercase)
                .collect(),
            value,
        })
    }
}
