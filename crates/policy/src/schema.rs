//! The embedded Cedar schema and the entity types that it declares, parsed once.

use std::sync::LazyLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};

/// The schema's text, in Cedar's own schema syntax.
pub const SCHEMA: &str = include_str!("doorman.cedarschema");

/// Parsed names, so that no decision parses any.
pub(crate) struct Vocabulary {
    pub schema: Schema,
    pub action: EntityTypeName,
    pub audit: EntityTypeName,
    pub database: EntityTypeName,
    pub folder: EntityTypeName,
    pub group: EntityTypeName,
    pub job: EntityTypeName,
    pub region: EntityTypeName,
    pub service: EntityTypeName,
    pub service_account: EntityTypeName,
    pub service_name: EntityTypeName,
    pub sessions: EntityTypeName,
    pub system: EntityTypeName,
    pub user: EntityTypeName,
}

pub(crate) static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary {
    schema: parse_schema(),
    action: entity_type("Action"),
    audit: entity_type("Audit"),
    database: entity_type("Database"),
    folder: entity_type("Folder"),
    group: entity_type("Group"),
    job: entity_type("Job"),
    region: entity_type("Region"),
    service: entity_type("Service"),
    service_account: entity_type("ServiceAccount"),
    service_name: entity_type("ServiceName"),
    sessions: entity_type("Sessions"),
    system: entity_type("System"),
    user: entity_type("User"),
});

/// `Type::"id"`. Any text is a valid id: it is data, never parsed.
pub(crate) fn entity_uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

#[expect(clippy::expect_used, reason = "embedded text, parsed by every test of this crate")]
fn parse_schema() -> Schema {
    Schema::from_cedarschema_str(SCHEMA).expect("the embedded schema parses").0
}

#[expect(clippy::expect_used, reason = "literal identifiers, parsed by every test of this crate")]
fn entity_type(name: &str) -> EntityTypeName {
    name.parse().expect("a literal entity type is an identifier")
}
