//! `cargo xtask fuzz`: the fuzz targets below `fuzz/`, by cargo-fuzz on a nightly compiler.

use std::path::Path;

use crate::run::{Failure, command, execute, output, succeeds};

/// Fuzzes the named target, or all in turn.
pub fn run(args: &[String]) -> Result<(), Failure> {
    let (target, seconds) = parse(args)?;
    if !Path::new("fuzz/Cargo.toml").exists() {
        return Err("there are no fuzz targets: no fuzz/Cargo.toml".into());
    }
    if !succeeds(&mut command(["cargo", "+nightly", "--version"])) {
        return Err(
            "fuzzing needs a nightly compiler: rustup toolchain install nightly --profile minimal".into()
        );
    }
    if !succeeds(&mut command(["cargo", "+nightly", "fuzz", "--version"])) {
        return Err("fuzzing needs cargo-fuzz: cargo install --locked cargo-fuzz".into());
    }
    let targets = match target {
        Some(target) => vec![target],
        None => {
            output(&mut command(["cargo", "+nightly", "fuzz", "list"]))?.lines().map(str::to_owned).collect()
        }
    };
    for target in targets {
        let fuzz = &mut command(["cargo", "+nightly", "fuzz", "run", &target, "--"]);
        execute(fuzz.arg(format!("-max_total_time={seconds}")))?;
    }
    Ok(())
}

fn parse(args: &[String]) -> Result<(Option<String>, u64), Failure> {
    let (mut target, mut seconds) = (None, 60);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let given = args.next().and_then(|given| given.parse().ok());
            seconds = given.ok_or("--seconds wants a number")?;
        } else if arg.starts_with('-') || target.is_some() {
            return Err(format!("what is {arg:?}? usage: fuzz [target] [--seconds N]").into());
        } else {
            target = Some(arg.clone());
        }
    }
    Ok((target, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_and_time_come_in_any_order() {
        let parse = |words: &str| parse(&words.split(' ').map(str::to_owned).collect::<Vec<_>>()).ok();
        assert_eq!(parse("target --seconds 5"), Some((Some("target".to_owned()), 5)));
        assert_eq!(parse("--seconds 5"), Some((None, 5)));
        assert_eq!(parse("--seconds"), None);
        assert_eq!(parse("one two"), None);
    }
}
