-- Store arguments too large to travel with their message. Written once, then only pointed at.
INSERT INTO djtasks_payload (id, body) VALUES (%s, %s)
