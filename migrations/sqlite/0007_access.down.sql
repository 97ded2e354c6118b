DROP TABLE limits;
DROP INDEX sign_ins_of_user;
ALTER TABLE users DROP COLUMN service;
ALTER TABLE users DROP COLUMN deactivated_at;
