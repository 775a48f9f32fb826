"""From texts and sounds to numbers."""
