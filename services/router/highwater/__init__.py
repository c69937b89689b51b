"""How far the records that put something in force have got, kept over restarts."""
