-- The audit index: derived from the journal, one row for each entry that a list shows. Outcomes and second passes are
-- merged into their attempt's row. May be emptied at any time, its cursors with it: the indexer fills it again.

CREATE TABLE audit_index (
    id {id} NOT NULL PRIMARY KEY,
    kind {key} NOT NULL,
    actor {key},
    subject {key},
    region {key},
    service {key},
    instance {key},
    method {key},
    path {path},
    run {key},
    status {int},
    status_class {int},
    outcome {key},
    outcome_id {id},
    search {path} NOT NULL
) {clustered};

-- Every documented filter alone is answered from one of these, newest first.
CREATE INDEX audit_by_kind ON audit_index (kind, id);
CREATE INDEX audit_by_actor ON audit_index (actor, id);
CREATE INDEX audit_by_subject ON audit_index (subject, id);
CREATE INDEX audit_by_region ON audit_index (region, id);
CREATE INDEX audit_by_service ON audit_index (service, id);
CREATE INDEX audit_by_instance ON audit_index (instance, id);
CREATE INDEX audit_by_method ON audit_index (method, id);
CREATE INDEX audit_by_run ON audit_index (run, id);
CREATE INDEX audit_by_status ON audit_index (status, id);
CREATE INDEX audit_by_status_class ON audit_index (status_class, id);
CREATE INDEX audit_by_outcome ON audit_index (outcome, id);

-- What refers to an entry: its retries and its second passes.
CREATE TABLE audit_link (
    target {id} NOT NULL,
    id {id} NOT NULL,
    what {key} NOT NULL,
    PRIMARY KEY (target, id)
) {clustered};

-- Outcomes that were indexed before their attempt, which another writer committed.
CREATE TABLE audit_orphan (
    id {id} NOT NULL PRIMARY KEY,
    attempt {id} NOT NULL
) {clustered};

-- How far each writer's statements are indexed.
CREATE TABLE audit_cursor (
    writer {id} NOT NULL PRIMARY KEY,
    next_number {int} NOT NULL,
    last_id {id} NOT NULL
) {clustered};
