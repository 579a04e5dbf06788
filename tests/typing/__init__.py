"""Code that is not run: mypy checks it, and that each expected error is one."""
