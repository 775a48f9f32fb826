"""Everything that trains, and the folder of a run."""
