//! `doorman regions`, `services`, `instances`.

use crate::connection::ConnectionArgs;
use crate::output::{OutputArgs, print_json, print_table};
use clap::Args;
use doorman_client::Health;

/// `doorman regions`
#[derive(Args)]
pub struct RegionsArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `doorman services`
#[derive(Args)]
#[command(after_help = "Example:\n  doorman services eu")]
pub struct ServicesArgs {
    /// The region
    region: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `doorman instances`
#[derive(Args)]
#[command(after_help = "\
Example:
  doorman instances eu companies
  doorman request GET eu/companies@companies-2/health     sends to that one")]
pub struct InstancesArgs {
    /// The region
    region: String,
    /// The service
    service: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Lists regions.
pub async fn regions(args: RegionsArgs) -> anyhow::Result<()> {
    let list = args.connection.client()?.regions().await?;
    if args.output.json {
        return print_json(&list);
    }
    let rows = list.items.into_iter().map(|region| vec![region.name, health(region.health)]).collect();
    print_table(&["REGION", "HEALTH"], rows, "There is no region that you may reach.")
}

/// Lists services.
pub async fn services(args: ServicesArgs) -> anyhow::Result<()> {
    let list = args.connection.client()?.services(&args.region).await?;
    if args.output.json {
        return print_json(&list);
    }
    let rows = list.items.into_iter().map(|service| {
        vec![service.name, service.protocol, format!("{} of {}", service.healthy, service.instances)]
    });
    print_table(
        &["SERVICE", "PROTOCOL", "HEALTHY"],
        rows.collect(),
        "There is no service that you may reach.",
    )
}

/// Lists instances.
pub async fn instances(args: InstancesArgs) -> anyhow::Result<()> {
    let list = args.connection.client()?.instances(&args.region, &args.service).await?;
    if args.output.json {
        return print_json(&list);
    }
    let rows = list.items.into_iter().map(|instance| {
        let labels: Vec<_> = instance.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        vec![instance.id, instance.address, health(instance.health), labels.join(" ")]
    });
    print_table(&["INSTANCE", "ADDRESS", "HEALTH", "LABELS"], rows.collect(), "No instance is known.")
}

fn health(health: Health) -> String {
    match health {
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
        Health::Unknown => "unknown",
    }
    .to_owned()
}
