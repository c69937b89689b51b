-- How far the signed records of a state topic have got, by key: the version of a policy, the time of a bundle in
-- microseconds. What lies behind is an old record that somebody sent again.
CREATE TABLE high_water (
    topic   text NOT NULL,
    key     text NOT NULL,
    reached bigint NOT NULL,
    PRIMARY KEY (topic, key)
);
