DROP TABLE runs;
DROP TABLE presence;
DROP TABLE servers;
