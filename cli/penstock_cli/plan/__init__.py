"""``penstock plan``: manifests → what the API server makes of them → what follows → words."""
