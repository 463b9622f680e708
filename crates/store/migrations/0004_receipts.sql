-- What proxies wrote down of the passes that they honoured, as collected: pieces of their files, byte for byte.
CREATE TABLE receipt_piece (
    proxy {id} NOT NULL,
    segment {int} NOT NULL,
    start {int} NOT NULL,
    from_ms {int} NOT NULL,
    to_ms {int} NOT NULL,
    frames {blob} NOT NULL,
    PRIMARY KEY (proxy, segment, start)
) {table};
CREATE INDEX receipt_by_time ON receipt_piece (proxy, to_ms);

--- append-only receipt_piece

--- all
-- Each proxy installation: how far it was read, until when everything it forwarded is known, and since when nothing is
-- known to be missing.
CREATE TABLE receipt_source (
    proxy {id} NOT NULL PRIMARY KEY,
    region {key} NOT NULL,
    place {text} NOT NULL,
    complete_ms {int} NOT NULL,
    gap_ms {int} NOT NULL
) {clustered};

-- Which installation a process was: the audience of its passes.
CREATE TABLE receipt_boot (
    boot {id} NOT NULL PRIMARY KEY,
    proxy {id} NOT NULL,
    started_ms {int} NOT NULL
) {clustered};
