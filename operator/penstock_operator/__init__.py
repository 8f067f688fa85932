"""The Penstock operator: Agents and AgentRollouts become revisions, workers, routes and verdicts."""
