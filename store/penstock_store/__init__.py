"""Redis as Penstock uses it: keys, Lua scripts and typed calls. The only importer of redis."""
