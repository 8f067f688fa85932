"""The demo: an agent, live traffic, a good revision that climbs, a bad one that is rolled back.

    python -m penstock_dev.demo [--keep] [--state-dir DIR] [--plain]

`story` says what happens, in acts. `stage` is what acts can do and wait for. `lines` and `panel` are
two ways to watch it: without and with a terminal.
"""
