"""What every service is made of: the stream, the unit of work, HTTP, API keys, the life of a process."""
