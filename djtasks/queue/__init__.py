"""All SQL on the hot tables: enqueue, claim, finish, promote, rescue, wake."""
