-- The end of finish.sql: how many messages were still their owners' to end.
SELECT count(*) FROM ended
