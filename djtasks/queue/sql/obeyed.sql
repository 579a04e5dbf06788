-- Take away what a worker was told, unless it was told more meanwhile: then it reads that first.
UPDATE djtasks_worker SET orders = %(left)s WHERE id = %(worker)s AND orders = %(orders)s
