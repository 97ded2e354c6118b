-- Two people, a pending request to both of which one has deliveries, and a cancelled one that is to be settled.
INSERT INTO users (id, username, email, email_confirmed, role, created_at) VALUES
    (X'01000000000000000000000000000000', 'ana', 'ana@example.com', 1, 'member', 1),
    (X'02000000000000000000000000000000', 'ben', 'ben@example.com', 1, 'member', 1);
INSERT INTO feedback_requests
    (created_event, id, asker_user_id, asker_username, terms, status, created_at, expires_at, ended_at) VALUES
    (1, X'10000000000000000000000000000000', X'01000000000000000000000000000000', 'ana', '{}', 'pending', 1, 9, NULL),
    (2, X'11000000000000000000000000000000', X'01000000000000000000000000000000', 'ana', '{}', 'cancelled', 2, 9, 3);
INSERT INTO asked (user_id, status, created_event) VALUES
    (X'01000000000000000000000000000000', 'pending', 1),
    (X'02000000000000000000000000000000', 'pending', 1),
    (X'01000000000000000000000000000000', 'cancelled', 2);
INSERT INTO deliveries
    (id, request_id, user_id, channel, address, status, due_at, receipt, reason, settle_due_at, settle_tries) VALUES
    (X'20000000000000000000000000000000', X'10000000000000000000000000000000', X'01000000000000000000000000000000',
        'slack', 'ana', 'sent', NULL, 'r1', NULL, NULL, 0),
    (X'21000000000000000000000000000000', X'10000000000000000000000000000000', X'01000000000000000000000000000000',
        'gmail', 'ana', 'queued', 5, NULL, NULL, NULL, 0),
    (X'22000000000000000000000000000000', X'11000000000000000000000000000000', X'01000000000000000000000000000000',
        'slack', 'ana', 'sent', NULL, 'r2', NULL, 4, 2);
INSERT INTO attempts (delivery_id, number, at, error) VALUES
    (X'20000000000000000000000000000000', 1, 1, NULL),
    (X'21000000000000000000000000000000', 1, 2, 'busy');
INSERT INTO events (id, at, kind, request_id) VALUES
    (1, 1, 'created', X'10000000000000000000000000000000'),
    (2, 2, 'created', X'11000000000000000000000000000000'),
    (3, 3, 'ended', X'11000000000000000000000000000000');
INSERT INTO event_readers (reader, event_id) VALUES
    (X'01000000000000000000000000000000', 1),
    (X'02000000000000000000000000000000', 1),
    (X'01000000000000000000000000000000', 2),
    (X'01000000000000000000000000000000', 3);
