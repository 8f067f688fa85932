"""The sequential comparison of the canary with stable: sums that add, and the evidence in them."""
