"""A scriptable stand-in for the Messages API, faithful enough that the real client library runs unchanged."""
