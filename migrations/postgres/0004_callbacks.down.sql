DROP TABLE disabled_receivers;
DROP TABLE callbacks;
