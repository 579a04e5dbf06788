"""The Cheese Shop: a small mail-order shop whose errands djtasks runs. The demo's application."""
