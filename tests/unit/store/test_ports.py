"""Ports for servers that tests start."""

from __future__ import annotations

from penstock_store import testing


def test_processes_of_a_test_run_draw_from_ports_of_their_own_and_together_from_all():
    drawn = [testing._ports_of(f"gw{number}") for number in range(8)]
    assert sorted(port for ports in drawn for port in ports) == list(testing._ports_of(""))
    assert min(map(len, drawn)) > 100
