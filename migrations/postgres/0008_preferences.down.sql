DROP TABLE address_codes;
ALTER TABLE addresses DROP COLUMN id;
ALTER TABLE users DROP COLUMN quiet_hours;
ALTER TABLE users DROP COLUMN timezone;
ALTER TABLE users DROP COLUMN locale;
