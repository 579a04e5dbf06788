-- Whether there is a schedule that somebody may have to send.
-- Plan: Result over an Index Scan using djtasks_periodictask_due, of one row.
SELECT EXISTS (
    SELECT FROM djtasks_periodictask p WHERE p.enabled AND p.source <> 'removed'
)
