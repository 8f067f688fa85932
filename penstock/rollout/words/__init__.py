"""Every sentence a rollout says to people, with its numbers; commands to type are in ``commands``."""
