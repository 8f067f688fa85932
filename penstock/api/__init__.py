"""The custom resources ``Agent`` and ``AgentRollout`` (group penstock.dev, version v1alpha1)."""
