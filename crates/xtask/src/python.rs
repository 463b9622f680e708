//! Python for the tests that are written in it: an environment below `target/`, with packages from PyPI.

use std::fs;
use std::path::Path;

use crate::run::{Failure, command, execute};

const HOME: &str = "target/python";
const REQUIREMENTS: [&str; 2] =
    ["examples/flask-ui/requirements.txt", "crates/doorman/tests/python/requirements.txt"];

/// Makes the environment, or brings it up to date when a requirements file has changed.
pub fn ensure() -> Result<(), Failure> {
    let mut wanted = String::new();
    for path in REQUIREMENTS {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
        wanted.push_str(&text);
    }
    let installed = Path::new(HOME).join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    execute(&mut command(["python3", "-m", "venv", "--clear", HOME]))?;
    let pip = format!("{HOME}/bin/pip");
    let mut install = command([&pip, "install", "--quiet", "--disable-pip-version-check"]);
    for path in REQUIREMENTS {
        install.args(["--requirement", path]);
    }
    execute(&mut install)?;
    fs::write(&installed, wanted)
        .map_err(|error| format!("cannot write {}: {error}", installed.display()).into())
}
