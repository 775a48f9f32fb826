"""What jaxnn is compared with."""
