"""The API server: the client, the kinds, what is known of the objects, and how they are read and written."""
