-- The journal: insert-only tables, clustered by id where the database can, with no secondary index.

--- postgres
CREATE FUNCTION doorman_append_only() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

--- all
-- One row for each entry. `claims` is empty for what is no attempt. Not WITHOUT ROWID on SQLite: a clustered row of
-- more than a quarter page takes an overflow page of its own, which made commits write twice as much.
CREATE TABLE journal (
    id {id} NOT NULL PRIMARY KEY,
    writer {id} NOT NULL,
    claims {blob} NOT NULL,
    record {blob} NOT NULL
) {table};

-- One row for each batch, in the batch's own transaction. `body` is what is hashed and signed.
CREATE TABLE statement (
    writer {id} NOT NULL,
    number {int} NOT NULL,
    epoch {int} NOT NULL,
    body {blob} NOT NULL,
    first_index {int} NOT NULL,
    count {int} NOT NULL,
    first_id {id} NOT NULL,
    last_id {id} NOT NULL,
    PRIMARY KEY (writer, number)
) {clustered};

-- Written with a later batch: a signature means that its statement was durable before.
CREATE TABLE statement_signature (
    writer {id} NOT NULL,
    number {int} NOT NULL,
    signature {blob} NOT NULL,
    PRIMARY KEY (writer, number)
) {clustered};

--- append-only journal
--- append-only statement
--- append-only statement_signature

--- all
-- One row for each start of an `api` process. `peers` lists the writers that it found, of which its first statement
-- holds the digest.
CREATE TABLE writer (
    id {id} NOT NULL PRIMARY KEY,
    started_ms {int} NOT NULL,
    lease_ms {int} NOT NULL,
    closed_ms {int},
    peers {blob} NOT NULL
) {clustered};

-- Moves with each revocation. A batch's transaction holds it still.
CREATE TABLE revocation_epoch (
    one {int} NOT NULL PRIMARY KEY,
    epoch {int} NOT NULL
) {table};
INSERT INTO revocation_epoch (one, epoch) VALUES (1, 0);

CREATE TABLE revocation (
    epoch {int} NOT NULL,
    session {id} NOT NULL,
    at_ms {int} NOT NULL,
    PRIMARY KEY (epoch, session)
) {clustered};

--- postgres
-- A whole batch in one round trip: called outside a transaction, it is one. The lock comes before the epoch is read;
-- each statement here sees what was committed before it began.
CREATE FUNCTION doorman_commit(
    the_epoch BIGINT, the_writer BYTEA, the_number BIGINT, the_body BYTEA, the_first_index BIGINT,
    ids BYTEA[], all_claims BYTEA[], records BYTEA[], signed BIGINT[], signatures BYTEA[]
) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared({epoch_lock});
    IF (SELECT epoch FROM revocation_epoch) <> the_epoch THEN
        RAISE EXCEPTION USING ERRCODE = 'DM001', MESSAGE = 'the revocation epoch moved';
    END IF;
    INSERT INTO statement (writer, number, epoch, body, first_index, count, first_id, last_id)
        VALUES (the_writer, the_number, the_epoch, the_body, the_first_index,
            cardinality(ids), ids[1], ids[cardinality(ids)]);
    INSERT INTO journal (id, writer, claims, record)
        SELECT u.id, the_writer, u.claims, u.record FROM unnest(ids, all_claims, records) AS u (id, claims, record);
    INSERT INTO statement_signature (writer, number, signature)
        SELECT the_writer, u.number, u.signature FROM unnest(signed, signatures) AS u (number, signature)
        ON CONFLICT DO NOTHING;
END $$;
