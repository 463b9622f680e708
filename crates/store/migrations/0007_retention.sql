-- What went by retention: signed tombstones. The statements of those batches stay.
CREATE TABLE retention (
    writer {id} NOT NULL,
    below {int} NOT NULL,
    body {blob} NOT NULL,
    signature {blob} NOT NULL,
    PRIMARY KEY (writer, below)
) {clustered};

--- append-only retention

-- Entries may be deleted by the account `doorman_retention` and nobody else. On SQLite, which has no accounts, retention
-- takes the trigger away within its transaction.
--- mysql
DROP TRIGGER journal_no_DELETE;
CREATE TRIGGER journal_no_DELETE BEFORE DELETE ON journal FOR EACH ROW
    IF SUBSTRING_INDEX(USER(), '@', 1) <> 'doorman_retention' THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'journal is append-only';
    END IF;

--- postgres
CREATE OR REPLACE FUNCTION doorman_append_only() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'journal' AND session_user = 'doorman_retention' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
