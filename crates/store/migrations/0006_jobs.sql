-- Jobs, their inputs, and runs with their items. What must be committed together with the journal stands beside it.

--- all
-- A saved definition. `version` is its ETag; a deleted one stays, since its runs tell about it.
CREATE TABLE job (
    id {id} NOT NULL PRIMARY KEY,
    folder {key} NOT NULL,
    -- Of folder and name, while it is not deleted: no two are equal.
    name_hash {id},
    version {int} NOT NULL,
    definition {text} NOT NULL,
    input {id},
    is_deleted {int} NOT NULL,
    created_ms {int} NOT NULL,
    created_by {key} NOT NULL,
    updated_ms {int} NOT NULL,
    updated_by {key} NOT NULL,
    -- As whom its schedule runs, as JSON, and when next.
    run_as {text},
    next_ms {int}
) {clustered};
CREATE INDEX job_by_folder ON job (is_deleted, folder, id);
CREATE INDEX job_by_next ON job (next_ms);
CREATE UNIQUE INDEX job_by_name ON job (name_hash);

CREATE TABLE job_edit (
    job {id} NOT NULL,
    version {int} NOT NULL,
    at_ms {int} NOT NULL,
    change_kind {key} NOT NULL,
    actor {key} NOT NULL,
    subject {key} NOT NULL,
    definition {text} NOT NULL,
    input {id},
    PRIMARY KEY (job, version)
) {clustered};

-- Rows to run over. Never changed once `is_ready`; several versions of a job and its runs share one.
CREATE TABLE job_input (
    id {id} NOT NULL PRIMARY KEY,
    is_ready {int} NOT NULL,
    column_names {text} NOT NULL,
    row_count {int} NOT NULL,
    duplicates {int} NOT NULL,
    bytes {int} NOT NULL,
    sha256 {key} NOT NULL,
    created_ms {int} NOT NULL
) {clustered};

CREATE TABLE job_input_row (
    input {id} NOT NULL,
    number {int} NOT NULL,
    line {int} NOT NULL,
    content {text} NOT NULL,
    PRIMARY KEY (input, number)
) {clustered};

-- One execution. `spec` never changes after the start; `progress` does, each time with `version`.
CREATE TABLE run (
    id {id} NOT NULL PRIMARY KEY,
    job {id} NOT NULL,
    state {key} NOT NULL,
    is_open {int} NOT NULL,
    version {int} NOT NULL,
    spec {text} NOT NULL,
    progress {text} NOT NULL,
    input {id},
    -- Items are a line: those before `until_item` are released by the rollout, those before `next_item` are claimed.
    total {int} NOT NULL,
    next_item {int} NOT NULL,
    until_item {int} NOT NULL,
    started_by {key} NOT NULL,
    started_ms {int} NOT NULL,
    ended_ms {int}
) {clustered};
CREATE INDEX run_by_job ON run (job, id);
CREATE INDEX run_by_state ON run (state, id);
CREATE INDEX run_by_open ON run (is_open, id);

-- Items that are claimed together, under a lease. The counts are those of the last count.
CREATE TABLE run_chunk (
    run {id} NOT NULL,
    first_item {int} NOT NULL,
    size {int} NOT NULL,
    is_open {int} NOT NULL,
    fence {int} NOT NULL,
    holder {key} NOT NULL,
    until_ms {int} NOT NULL,
    pending {int} NOT NULL,
    sending {int} NOT NULL,
    done {int} NOT NULL,
    failed {int} NOT NULL,
    unknown {int} NOT NULL,
    skipped {int} NOT NULL,
    PRIMARY KEY (run, first_item)
) {clustered};
CREATE INDEX run_chunk_by_open ON run_chunk (run, is_open, first_item);

-- An item that was claimed; the others are pending. No secondary index: every change of state is part of a commit that
-- a request waits for.
CREATE TABLE run_item (
    run {id} NOT NULL,
    item {int} NOT NULL,
    state {int} NOT NULL,
    fence {int} NOT NULL,
    attempts {int} NOT NULL,
    audit {id},
    status {int},
    error {key},
    due_ms {int},
    PRIMARY KEY (run, item)
) {clustered};

--- postgres
-- As `doorman_commit`, for a batch that also moves items: `sending` under their fences, and ended.
CREATE FUNCTION doorman_commit_items(
    the_epoch BIGINT, the_writer BYTEA, the_number BIGINT, the_body BYTEA, the_first_index BIGINT,
    ids BYTEA[], all_claims BYTEA[], records BYTEA[], signed BIGINT[], signatures BYTEA[],
    sent_runs BYTEA[], sent_items BIGINT[], sent_fences BIGINT[], sent_audits BYTEA[],
    end_runs BYTEA[], end_items BIGINT[], end_audits BYTEA[], end_states BIGINT[], end_statuses BIGINT[],
    end_errors TEXT[], end_dues BIGINT[]
) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    moved BIGINT;
BEGIN
    UPDATE run_item i SET state = 1, audit = u.audit, attempts = i.attempts + 1, due_ms = NULL
        FROM unnest(sent_runs, sent_items, sent_fences, sent_audits) AS u (run, item, fence, audit)
        WHERE i.run = u.run AND i.item = u.item AND i.fence = u.fence AND i.state = 0;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(sent_items) THEN
        RAISE EXCEPTION USING ERRCODE = 'DM002', MESSAGE = 'an item has another holder';
    END IF;
    UPDATE run_item i SET state = u.state, status = u.status, error = u.error, due_ms = u.due
        FROM unnest(end_runs, end_items, end_audits, end_states, end_statuses, end_errors, end_dues)
            AS u (run, item, audit, state, status, error, due)
        WHERE i.run = u.run AND i.item = u.item AND i.audit = u.audit AND i.state IN (1, 4);
    PERFORM doorman_commit(the_epoch, the_writer, the_number, the_body, the_first_index,
        ids, all_claims, records, signed, signatures);
END $$;
