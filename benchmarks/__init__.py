"""How fast djtasks is, beside the same work in bare SQL on the same server: ``make bench``."""
