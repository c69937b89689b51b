"""Judging many items at once, such as all near copies of one."""
