-- Say whether this worker is to be woken. It looks for work once more after it has said yes:
-- either it sees a message that was committed before, or the sender sees its flag.
UPDATE djtasks_worker SET wants_work = %(wants)s WHERE id = %(worker)s
