-- Who may act: sessions, service accounts, login tries; and the small tables that replicas coordinate by.

CREATE TABLE session (
    id {id} NOT NULL PRIMARY KEY,
    kind {key} NOT NULL,
    principal {key} NOT NULL,
    directory_id {key},
    display_name {text},
    email {text},
    group_names {text} NOT NULL,
    name {text},
    scopes {text},
    created_ms {int} NOT NULL,
    expires_ms {int} NOT NULL,
    revoked_ms {int},
    last_used_ms {int},
    client_ip {key},
    user_agent {text},
    parent {id}
) {clustered};
CREATE INDEX session_by_principal ON session (principal, created_ms, id);
CREATE INDEX session_by_kind ON session (kind, created_ms, id);
CREATE INDEX session_by_age ON session (created_ms, id);
CREATE INDEX session_by_end ON session (expires_ms);
CREATE INDEX session_by_parent ON session (parent);

CREATE TABLE service_account (
    name {key} NOT NULL PRIMARY KEY,
    description {text} NOT NULL,
    owner {key} NOT NULL,
    networks {text} NOT NULL,
    disabled {int} NOT NULL,
    created_ms {int} NOT NULL,
    last_used_ms {int}
) {clustered};

CREATE TABLE service_secret (
    id {id} NOT NULL PRIMARY KEY,
    account {key} NOT NULL,
    hash {text} NOT NULL,
    created_ms {int} NOT NULL,
    expires_ms {int}
) {clustered};
CREATE INDEX service_secret_by_account ON service_secret (account, created_ms);

-- The row that tries for one account queue at.
CREATE TABLE login_account (
    account {key} NOT NULL PRIMARY KEY
) {clustered};

CREATE TABLE login_try (
    id {id} NOT NULL PRIMARY KEY,
    account {key} NOT NULL,
    address {key} NOT NULL,
    at_ms {int} NOT NULL,
    state {int} NOT NULL
) {clustered};
CREATE INDEX login_try_by_account ON login_try (account, at_ms);
CREATE INDEX login_try_by_age ON login_try (at_ms);

CREATE TABLE lease (
    name {key} NOT NULL PRIMARY KEY,
    holder {key} NOT NULL,
    until_ms {int} NOT NULL
) {clustered};

CREATE TABLE stored_value (
    name {key} NOT NULL PRIMARY KEY,
    value {blob} NOT NULL
) {clustered};
