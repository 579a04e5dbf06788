-- Tell one worker what to do; its row is locked.
UPDATE djtasks_worker SET orders = %(orders)s WHERE id = %(id)s
