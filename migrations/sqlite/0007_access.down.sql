DROP TABLE limits;
DROP INDEX sign_ins_of_user;
DROP INDEX users_administrators;
ALTER TABLE users DROP COLUMN service;
ALTER TABLE users DROP COLUMN deactivated_at;
