-- Messages that may have one of these stamps, behind an id: those whose options have the texts.
-- Plan: Limit > Index Scan using djtasks_message_pkey, filtered: one pass over what is queued, in parts.
SELECT id, options
FROM djtasks_message
WHERE id > %(after)s AND options LIKE ANY (%(needles)s::text[])
ORDER BY id
LIMIT %(limit)s
