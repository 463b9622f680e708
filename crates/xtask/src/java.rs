//! Java's part of the tests: a real HDFS, from a Maven registry. About 90 MB, fetched once.

use std::fs;
use std::path::Path;

use crate::run::{Failure, command, execute};

const POM: &str = "crates/testkit/hadoop/pom.xml";
const HOME: &str = "target/hadoop";
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:2.8:build-classpath";

/// Has Maven fetch the jars and write where they are, when the pom has changed or a jar is gone.
pub fn ensure() -> Result<(), Failure> {
    let wanted = fs::read_to_string(POM).map_err(|error| format!("cannot read {POM}: {error}"))?;
    let (installed, class_path) = (Path::new(HOME).join("pom.xml"), Path::new(HOME).join("class-path.txt"));
    let jars = fs::read_to_string(&class_path).unwrap_or_default();
    let is_whole = !jars.is_empty() && jars.trim().split(':').all(|jar| Path::new(jar).exists());
    if is_whole && fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    fs::create_dir_all(HOME).map_err(|error| format!("cannot make {HOME}: {error}"))?;
    let output = fs::canonicalize(HOME).map_err(|error| format!("cannot find {HOME}: {error}"))?;
    let output = format!("-Dmdep.outputFile={}", output.join("class-path.txt").display());
    execute(&mut command(["mvn", "--batch-mode", "--quiet", "--file", POM, PLUGIN, &output]))?;
    fs::write(&installed, wanted)
        .map_err(|error| format!("cannot write {}: {error}", installed.display()).into())
}
