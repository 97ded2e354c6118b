DROP INDEX deliveries_sent_as;
-- The former schema has no receipt at what is settled.
UPDATE deliveries SET receipt = NULL WHERE status IN ('settled', 'failed');
DROP TABLE link_codes;
ALTER TABLE addresses DROP COLUMN blocked_at;
