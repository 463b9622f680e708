-- Collected receipts may be deleted as entries may: by the account `doorman_retention` and nobody else. On SQLite retention
-- takes the trigger away within its transaction.
--- mysql
DROP TRIGGER receipt_piece_no_DELETE;
CREATE TRIGGER receipt_piece_no_DELETE BEFORE DELETE ON receipt_piece FOR EACH ROW
    IF SUBSTRING_INDEX(USER(), '@', 1) <> 'doorman_retention' THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'receipt_piece is append-only';
    END IF;

--- postgres
CREATE OR REPLACE FUNCTION doorman_append_only() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('journal', 'receipt_piece') AND session_user = 'doorman_retention' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
