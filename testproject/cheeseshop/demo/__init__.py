"""What ``manage.py demo`` does: programs, sample work, and the account of what became of it."""
