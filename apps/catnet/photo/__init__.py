"""The photo network: 64×64 photographs in colour, cats against everything."""
