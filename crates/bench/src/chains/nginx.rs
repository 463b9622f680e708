//! N: nginx → nginx with nothing. What two hops cost when nobody asks who is there.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Chain, Running, Site, WORKERS};
use crate::load::Target;
use crate::process::{Server, free_address};

pub struct Nginx;

impl Chain for Nginx {
    fn name(&self) -> String {
        "N".to_owned()
    }

    fn checks_credentials(&self) -> bool {
        false
    }

    fn start(&self, site: &Site<'_>) -> Result<Running> {
        let (first, second) = (free_address()?, free_address()?);
        let servers = vec![
            start_hop("nginx-2", second, site.upstream, site)?,
            start_hop("nginx-1", first, second, site)?,
        ];
        Ok(Running::new(Target::new(first, "", Vec::new())?, servers))
    }
}

fn start_hop(name: &str, listen: SocketAddr, next: SocketAddr, site: &Site<'_>) -> Result<Server> {
    let directory = site.directory.join(name);
    fs::create_dir_all(&directory)?;
    let file = directory.join("nginx.conf");
    fs::write(&file, configuration(&directory, listen, next))?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&directory).arg("-c").arg(&file).args(["-e", "stderr"]);
    let mut server = Server::start(name, &command, &site.directory)?;
    server.wait_for_port(listen)?;
    Ok(server)
}

fn configuration(directory: &Path, listen: SocketAddr, next: SocketAddr) -> String {
    let directory = directory.display();
    // `user` matters only to root, whose workers could not enter the directory otherwise.
    format!(
        "daemon off; user root; worker_processes {WORKERS}; pid {directory}/pid; error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  upstream next {{ server {next}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 600s; }}
  server {{
    listen {listen} reuseport backlog=4096;
    location / {{
      proxy_pass http://next; proxy_http_version 1.1; proxy_set_header Connection \"\";
      proxy_request_buffering off; proxy_max_temp_file_size 0;
    }}
  }}
}}
"
    )
}
