"""What Penstock costs, measured beside what people use instead. Not a part of the product."""
