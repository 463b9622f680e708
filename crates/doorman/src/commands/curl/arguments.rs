//! Reads curl's arguments as far as needed: which are URLs, and what would lead the credential astray.

use super::options::{long_takes_value, short_takes_value};
use crate::failure::{Failure, exit};
use std::ffi::OsString;

/// curl's arguments with their URLs in place, and what was learned from them.
#[derive(Debug, Default)]
pub struct Plan {
    /// The arguments to hand over.
    pub args: Vec<OsString>,
    /// The caller sends an `Authorization` to the service, so ours goes in `Doorman-Token`.
    pub own_authorization: bool,
    /// The caller chose a proxy.
    pub own_proxy: bool,
    /// The caller chose certificate authorities.
    pub own_authorities: bool,
    /// Standard input is part of the request.
    pub reads_stdin: bool,
    follows_redirects: bool,
    urls: usize,
}

/// Turns `args` into a plan; `locate` makes a URL of what the caller wrote for one.
///
/// # Errors
/// When there is no URL, `locate` refuses one, or an option could send the credential elsewhere.
pub fn plan(args: &[String], locate: &dyn Fn(&str) -> anyhow::Result<OsString>) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    let mut rest = args.iter();
    let mut only_urls = false;
    while let Some(arg) = rest.next() {
        if !only_urls && arg == "--" {
            // curl has no use for it; the rest are URLs.
            only_urls = true;
        } else if only_urls || !arg.starts_with('-') || arg == "-" {
            plan.add_url(arg, locate)?;
        } else if let Some(long) = arg.strip_prefix("--") {
            let value = if long_takes_value(long) { rest.next() } else { None };
            plan.add_option(long, arg, value.map(String::as_str), locate)?;
        } else {
            let (option, attached) = last_short(arg);
            for flag in arg.chars().skip(1).take_while(|flag| !short_takes_value(*flag)) {
                plan.learn(long_name(flag), None)?;
            }
            match (option, attached) {
                (Some(option), "") => {
                    let value = rest.next().map(String::as_str);
                    plan.add_option(long_name(option), arg, value, locate)?;
                }
                (Some(option), attached) => {
                    plan.learn(long_name(option), Some(attached))?;
                    plan.args.push(arg.into());
                }
                (None, _) => plan.args.push(arg.into()),
            }
        }
    }
    plan.check()?;
    Ok(plan)
}

/// In a cluster such as `-sXPOST`: the option that takes a value, and the value attached to it.
fn last_short(cluster: &str) -> (Option<char>, &str) {
    for (at, option) in cluster.char_indices().skip(1) {
        if short_takes_value(option) {
            return (Some(option), cluster.get(at + option.len_utf8()..).unwrap_or_default());
        }
    }
    (None, "")
}

/// The long names of the short options that matter here.
fn long_name(short: char) -> &'static str {
    match short {
        'H' => "header",
        'K' => "config",
        'L' => "location",
        'u' => "user",
        'n' => "netrc",
        'x' => "proxy",
        ':' => "next",
        'T' => "upload-file",
        'd' => "data",
        'F' => "form",
        _ => "",
    }
}

impl Plan {
    fn add_url(
        &mut self,
        text: &str,
        locate: &dyn Fn(&str) -> anyhow::Result<OsString>,
    ) -> anyhow::Result<()> {
        self.args.push(locate(text)?);
        self.urls += 1;
        Ok(())
    }

    fn add_option(
        &mut self,
        name: &str,
        arg: &str,
        value: Option<&str>,
        locate: &dyn Fn(&str) -> anyhow::Result<OsString>,
    ) -> anyhow::Result<()> {
        self.learn(name, value)?;
        self.args.push(arg.into());
        match value {
            Some(value) if name == "url" => self.add_url(value, locate),
            Some(value) => {
                self.args.push(value.into());
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Notes what an option means for the credential.
    fn learn(&mut self, name: &str, value: Option<&str>) -> anyhow::Result<()> {
        let value = value.unwrap_or_default();
        self.reads_stdin |=
            value == "-" || ["@-", "<-", "@.", "@/dev/stdin"].iter().any(|end| value.ends_with(end));
        match name {
            "config" | "next" | "location-trusted" | "expand-url" | "url-file" => {
                let message = format!(
                    "--{name} does not go with `doorman curl`: the credential could be sent elsewhere"
                );
                return Err(Failure::new(exit::FAILED, message)
                    .hint("put everything on one command line")
                    .into());
            }
            "header" | "proxy-header" => {
                let header = value.split([':', ';']).next().unwrap_or_default();
                self.own_authorization |=
                    header.trim().eq_ignore_ascii_case("authorization") || value.starts_with('@');
            }
            "user" | "oauth2-bearer" | "netrc" | "netrc-file" | "netrc-optional" | "negotiate" | "ntlm"
            | "digest" | "anyauth" | "aws-sigv4" => self.own_authorization = true,
            "proxy" | "preproxy" | "noproxy" | "socks4" | "socks4a" | "socks5" | "socks5-hostname"
            | "proxy1.0" => {
                self.own_proxy = true;
            }
            "cacert" | "capath" => self.own_authorities = true,
            "location" => self.follows_redirects = true,
            _ => {}
        }
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.urls == 0 {
            let failure = Failure::new(exit::FAILED, "there is no URL among the arguments");
            return Err(failure.hint("write REGION/SERVICE/path, as in `doorman curl eu/echo/`").into());
        }
        if self.follows_redirects && self.own_authorization {
            // curl keeps `Authorization` from other hosts, but not a header of ours.
            let message = "--location does not go with an Authorization of your own: a redirect could take the credential away";
            return Err(Failure::new(exit::FAILED, message).hint("leave out one of them").into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(line: &str) -> anyhow::Result<Plan> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        plan(&args, &|text| Ok(format!("<{text}>").into()))
    }

    fn args(line: &str) -> String {
        let plan = planned(line).unwrap();
        plan.args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn urls_are_told_from_the_values_of_options() {
        assert_eq!(args("-sS -X POST eu/echo/ -d eu/x/y"), "-sS -X POST <eu/echo/> -d eu/x/y");
        assert_eq!(
            args("-sXPOST -deu/x/ --data-raw a/b eu/echo/"),
            "-sXPOST -deu/x/ --data-raw a/b <eu/echo/>"
        );
        assert_eq!(
            args("--url eu/a/ -o out/file us/b/ --silent"),
            "--url <eu/a/> -o out/file <us/b/> --silent"
        );
        assert_eq!(args("-so out eu/a/"), "-so out <eu/a/>");
        assert_eq!(args("-s -- eu/a/"), "-s <eu/a/>");
    }

    #[test]
    fn credentials_of_the_service_are_noticed_in_every_form() {
        for line in [
            "-u a:b eu/e/",
            "-ua:b eu/e/",
            "-su a:b eu/e/",
            "-H authorization:x eu/e/",
            "-HAuthorization:x eu/e/",
            "-n eu/e/",
        ] {
            assert!(planned(line).unwrap().own_authorization, "{line}");
        }
        assert!(!planned("-H accept:x eu/e/").unwrap().own_authorization);
    }

    #[test]
    fn what_could_lead_the_credential_astray_is_refused() {
        for line in [
            "-K f eu/e/",
            "-sKf eu/e/",
            "eu/e/ --next http://x/",
            "-s: eu/e/",
            "--location-trusted eu/e/",
            "-Lu a:b eu/e/",
            "-s",
        ] {
            assert!(planned(line).is_err(), "{line}");
        }
        assert!(planned("-L eu/e/").is_ok());
    }

    #[test]
    fn a_body_from_standard_input_is_noticed() {
        for line in ["-d @- eu/e/", "-T - eu/e/", "-d@- eu/e/", "-F a=@- eu/e/", "--data-binary @- eu/e/"] {
            assert!(planned(line).unwrap().reads_stdin, "{line}");
        }
        assert!(!planned("-d @file eu/e/").unwrap().reads_stdin);
    }
}
