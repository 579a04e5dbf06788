-- What workers say that they run. Plan: a scan of djtasks_worker, which has a row for each.
SELECT w.running FROM djtasks_worker w WHERE w.running <> ''
