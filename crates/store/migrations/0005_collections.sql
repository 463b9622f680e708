-- Requests that people save: who owns them, which groups share them, and what they were before each edit.

CREATE TABLE saved_request (
    id {id} NOT NULL PRIMARY KEY,
    owner {key} NOT NULL,
    version {int} NOT NULL,
    -- Lower-case name, folder and target, to be searched.
    search {text} NOT NULL,
    content {text} NOT NULL,
    updated_ms {int} NOT NULL,
    updated_by {key} NOT NULL
) {clustered};
CREATE INDEX saved_request_by_owner ON saved_request (owner, id);

CREATE TABLE saved_request_share (
    group_name {key} NOT NULL,
    request {id} NOT NULL,
    PRIMARY KEY (group_name, request)
) {clustered};
CREATE INDEX saved_request_share_by_request ON saved_request_share (request);

CREATE TABLE saved_request_edit (
    request {id} NOT NULL,
    version {int} NOT NULL,
    content {text} NOT NULL,
    at_ms {int} NOT NULL,
    by_whom {key} NOT NULL,
    PRIMARY KEY (request, version)
) {clustered};
