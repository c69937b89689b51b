"""The formats of data files: CSV in any dialect, JSON Lines, JSON arrays and Parquet, in any encoding.

Each reader gives a Table: the columns where the file names them, and the rows one at a time.
"""
